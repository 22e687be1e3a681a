-- What a group still has to do on a stream.
--
-- KEYS  1 stream
-- ARGV  1 group
-- Returns {pending entries, {id, fields} of the oldest unfinished entry or nothing}.

local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if groups.err then return {0} end
for _, flat in ipairs(groups) do
  local facts = {}
  for i = 1, #flat, 2 do facts[flat[i]] = flat[i + 1] end
  if facts.name == ARGV[1] then
    local first = '(' .. facts['last-delivered-id']
    if facts.pending > 0 then first = redis.call('XPENDING', KEYS[1], ARGV[1])[2] end
    return {facts.pending, redis.call('XRANGE', KEYS[1], first, '+', 'COUNT', 1)[1]}
  end
end
return {0}
