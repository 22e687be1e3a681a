-- Take a reader off the list: it holds nothing back any more, and whoever holds its lease commits no more.
--
-- KEYS  1 reader   hash with epoch
--       2 readers  hash reader name -> names of its streams (msgpack array)
--       3 bounds   hash reader name -> bound of its older snapshot
-- ARGV  1 reader name   2 epoch   3 an empty msgpack array
-- It stays on the list without streams, so that nobody waits for it; registering again puts its streams back.
-- Returns the new epoch. Errors: "FENCED <newest epoch>".

local epoch = redis.call('HGET', KEYS[1], 'epoch') or '0'
if epoch ~= ARGV[2] or redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then return redis.error_reply('FENCED ' .. epoch) end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
redis.call('HDEL', KEYS[3], ARGV[1])
return redis.call('HINCRBY', KEYS[1], 'epoch', 1)
