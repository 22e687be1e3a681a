-- Append the record batches of a producer, all or none, once.
--
-- KEYS  1 producer   last sequence number this producer appended
--       2 tails      hash stream name -> newest entry id
--       3..          stream key of each output
-- ARGV  1 sequence of the first event   2 sequence of the last event   3 seconds a silent producer is remembered
--       4.. (stream name, record batch) of each output
-- Returns {1 when appended or 0 when the sequence had been appended before, stamp}; see log.lua.

local last = redis.call('GET', KEYS[1])
if last and tonumber(last) >= tonumber(ARGV[1]) then return {0, log[2]} end

-- An XADD comes first: with full memory the server refuses a script's first write, never a later one, so a script
-- lands whole or not at all.
local tails = {}
for i = 3, #KEYS do
  local a = 4 + (i - 3) * 2
  tails[ARGV[a]] = redis.call('XADD', KEYS[i], '*', 'd', ARGV[a + 1])
end
for name, id in pairs(tails) do redis.call('HSET', KEYS[2], name, id) end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return {1, log_go_on()}
