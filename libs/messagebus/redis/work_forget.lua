-- Forget consumers that hold nothing. With something pending a consumer must stay: its entries would be lost with it.
--
-- KEYS  1 stream
-- ARGV  1 group   2 consumer, or '' for all   3 milliseconds a consumer must have been silent
-- Returns the number of consumers forgotten.

local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err then return 0 end
local forgotten = 0
for _, flat in ipairs(consumers) do
  local facts = {}
  for i = 1, #flat, 2 do facts[flat[i]] = flat[i + 1] end
  if facts.pending == 0 and facts.idle >= tonumber(ARGV[3]) and (ARGV[2] == '' or ARGV[2] == facts.name) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], facts.name)
    forgotten = forgotten + 1
  end
end
return forgotten
