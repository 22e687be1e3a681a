-- A sign of life of the holder of a lease; written only while a standby watches, so that an idle fleet writes no log.
--
-- KEYS  1 reader  hash with epoch and beats
--       2 watch   there while a standby watches
-- ARGV  1 epoch
-- Returns 1 when a standby watches, else 0.
-- Errors: "FENCED <newest epoch>".

local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch ~= ARGV[1] then return redis.error_reply('FENCED ' .. (epoch or '0')) end
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[1], 'beats', 1)
return 1
