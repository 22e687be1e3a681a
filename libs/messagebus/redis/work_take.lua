-- Entries of an ordered stream that nobody of the group was given yet, for the one consumer that holds it.
--
-- KEYS  1 stream   2 holder
-- ARGV  1 group   2 consumer   3 count
-- Returns {entries, newest id of the stream}: when there are no entries, everything up to that id was given out.
-- Errors: "INACTIVE <holder>", "NOGROUP ...".

local holder = redis.call('GET', KEYS[2])
if holder ~= ARGV[2] then return redis.error_reply('INACTIVE ' .. (holder or 'nobody')) end
local found = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[3], 'STREAMS', KEYS[1], '>')
if found then return {found[1][2], ''} end
local facts = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #facts, 2 do
  if facts[i] == 'last-generated-id' then return {{}, facts[i + 1]} end
end
return {{}, '0-0'}
