-- Store a snapshot of a reader and keep the one before it; fenced.
--
-- KEYS  1 reader     hash with epoch
--       2 snapshots  hash: newer, older (commit numbers), data:<number>, bound:<number>
--       3 bounds     hash reader name -> bound of its older snapshot
-- ARGV  1 epoch   2 number   3 data   4 bound: {number, {stream name -> entry id}} (msgpack)   5 reader name
-- The bound of the older snapshot says what trimming must leave: a restore may still start there. A reader with one
-- snapshot has none: were that one damaged, a restore would start at the first commit.
-- Behind log.lua because a snapshot of what the log has lost would be taken for the state of other commits.
-- Returns {1, the mark}. Errors: "FENCED <newest epoch>", "STALE <newest number>".

local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch ~= ARGV[1] then return redis.error_reply('FENCED ' .. (epoch or '0')) end

local kept = redis.call('HMGET', KEYS[2], 'newer', 'older')
local newer, older = kept[1], kept[2]
if newer and tonumber(ARGV[2]) < tonumber(newer) then return redis.error_reply('STALE ' .. newer) end

if newer and newer ~= ARGV[2] then
  if older then redis.call('HDEL', KEYS[2], 'data:' .. older, 'bound:' .. older) end
  older = newer
  redis.call('HSET', KEYS[2], 'older', older)
end
redis.call('HSET', KEYS[2], 'newer', ARGV[2], 'data:' .. ARGV[2], ARGV[3], 'bound:' .. ARGV[2], ARGV[4])
if older then redis.call('HSET', KEYS[3], ARGV[5], redis.call('HGET', KEYS[2], 'bound:' .. older)) end
return {1, log_mark}
