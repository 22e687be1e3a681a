-- What a standby sees of a lease, and a mark that somebody watches it.
--
-- KEYS  1 reader  hash with epoch, beats, commits and released
--       2 watch   the mark
-- ARGV  1 seconds the mark lasts
-- Returns {epoch, beats, commits, released epoch}, 0 for what is not there.

-- The mark is written anew only when half of its time is over: looks are frequent and should cost no log.
if redis.call('TTL', KEYS[2]) < tonumber(ARGV[1]) / 2 then redis.call('SET', KEYS[2], '1', 'EX', ARGV[1]) end
local held = redis.call('HMGET', KEYS[1], 'epoch', 'beats', 'commits', 'released')
for i = 1, 4 do held[i] = tonumber(held[i] or '0') end
return held
