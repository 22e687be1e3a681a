-- One atomic step of a sequenced reader: outputs, journal entry and positions, all or none, once per commit number.
--
-- KEYS  1 reader     hash with epoch and commits
--       2 positions  hash stream name -> last committed entry id
--       3 journal    stream of this reader
--       4 tails      hash stream name -> newest entry id
--       5..          stream key of each output
-- ARGV  1 epoch   2 number   3 journal entry   4 count of the positions' arguments
--       5.. (stream name, entry id) of each position, then (stream name, record batch) of each output
-- Returns {1 when committed or 0 when the number had been committed before, stamp}; see log.lua.
-- Errors: "FENCED <newest epoch>", "GAP <number expected>".

local held = redis.call('HMGET', KEYS[1], 'epoch', 'commits')
if held[1] ~= ARGV[1] then return redis.error_reply('FENCED ' .. (held[1] or '0')) end
local expected = tonumber(held[2] or '0') + 1
local number = tonumber(ARGV[2])
if number < expected then return {0, log[2]} end
if number > expected then return redis.error_reply('GAP ' .. string.format('%.0f', expected)) end

-- As in append.lua an XADD is the first write, so full memory refuses the whole step.
redis.call('XADD', KEYS[3], ARGV[2] .. '-0', 'j', ARGV[3])
local base = 5 + tonumber(ARGV[4])
local tails = {}
for i = 5, #KEYS do
  local a = base + (i - 5) * 2
  tails[ARGV[a]] = redis.call('XADD', KEYS[i], '*', 'd', ARGV[a + 1])
end
for name, id in pairs(tails) do redis.call('HSET', KEYS[4], name, id) end
for a = 5, base - 1, 2 do redis.call('HSET', KEYS[2], ARGV[a], ARGV[a + 1]) end
redis.call('HSET', KEYS[1], 'commits', ARGV[2])
return {1, log_go_on()}
