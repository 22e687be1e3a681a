-- Register a sequenced reader and take the next epoch, which fences every older holder out.
--
-- KEYS  1 reader     hash with epoch and commits
--       2 positions  hash stream name -> last committed entry id
--       3 readers    hash reader name -> names of its streams (msgpack array)
-- ARGV  1 reader name   2 names of its streams (msgpack array)
-- Returns {epoch, commits, {stream name, entry id, ...}}.

local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
return {epoch, tonumber(redis.call('HGET', KEYS[1], 'commits') or '0'), redis.call('HGETALL', KEYS[2])}
