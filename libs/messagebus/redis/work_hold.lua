-- Become or stay the one consumer of an ordered stream.
--
-- KEYS  1 holder
-- ARGV  1 consumer   2 lease in milliseconds
-- Returns 1 when this consumer holds it now.

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
