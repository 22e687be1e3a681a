-- Register a sequenced reader and take the next epoch, which fences every older holder out.
--
-- KEYS  1 reader     hash with epoch, beats, commits and released
--       2 positions  hash stream name -> last committed entry id
--       3 readers    hash reader name -> names of its streams (msgpack array)
-- ARGV  1 reader name   2 names of its streams (msgpack array)
--       3 epoch   4 beats   5 commits   6 released epoch or 0: only if the lease still looks like this; may be left out
-- Returns {epoch, commits, {stream name, entry id, ...}}, or nothing when it looks otherwise.

if ARGV[3] then
  local held = redis.call('HMGET', KEYS[1], 'epoch', 'beats', 'commits', 'released')
  if held[4] ~= held[1] then held[4] = false end
  for i = 1, 4 do
    if (held[i] or '0') ~= ARGV[i + 2] then return false end
  end
end
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
return {epoch, tonumber(redis.call('HGET', KEYS[1], 'commits') or '0'), redis.call('HGETALL', KEYS[2])}
