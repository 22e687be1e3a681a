-- Give back what a consumer holds: others may claim it at once. What was given to it as the first counts as given to
-- nobody, so that it is not looked upon as what a worker died of.
--
-- KEYS  1 stream   2 holder
-- ARGV  1 group   2 consumer   3 milliseconds without interest it is made to look like   4 most entries
-- Returns the number of entries given back.

if redis.call('GET', KEYS[2]) == ARGV[2] then redis.call('DEL', KEYS[2]) end
local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], '-', '+', ARGV[4], ARGV[2])
if pending.err then return 0 end
for _, one in ipairs(pending) do
  local count = one[4]
  if count == 1 then count = 0 end
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, one[1], 'IDLE', ARGV[3], 'RETRYCOUNT', count, 'JUSTID')
end
return #pending
