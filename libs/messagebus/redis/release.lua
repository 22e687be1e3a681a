-- The holder of a lease gives it up: it commits no more, and a standby need not wait for it to fall silent.
--
-- KEYS  1 reader  hash with epoch
-- ARGV  1 epoch
-- Returns 1. Errors: "FENCED <newest epoch>".

local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch ~= ARGV[1] then return redis.error_reply('FENCED ' .. (epoch or '0')) end
redis.call('HSET', KEYS[1], 'released', epoch)
return 1
