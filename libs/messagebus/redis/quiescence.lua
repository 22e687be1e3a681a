-- Which of the given readers have not committed past everything in the streams they read, at this one instant.
--
-- KEYS  1 readers  hash reader name -> names of its streams (msgpack array)
--       2 tails    hash stream name -> newest entry id
--       3 log      see log.lua
--       4..        positions hash of each reader
-- ARGV  reader names, in the order of KEYS 4..
-- Returns {names of the readers that lag or have not registered, {newest stamp, first one under this server}}.

local function before(left, right)
  local a, b = string.match(left, '(%d+)-(%d+)')
  local c, d = string.match(right, '(%d+)-(%d+)')
  a, b, c, d = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
  return a < c or (a == c and b < d)
end

local function lags(positions, streams)
  if #streams == 0 then return false end
  local tails = redis.call('HMGET', KEYS[2], unpack(streams))
  local reached = redis.call('HMGET', positions, unpack(streams))
  for i = 1, #streams do
    -- Equal strings are the usual case and need no parsing.
    if tails[i] and tails[i] ~= reached[i] and before(reached[i] or '0-0', tails[i]) then return true end
  end
  return false
end

local waiting = {}
for i = 1, #ARGV do
  local streams = redis.call('HGET', KEYS[1], ARGV[i])
  if not streams or lags(KEYS[i + 3], cmsgpack.unpack(streams)) then waiting[#waiting + 1] = ARGV[i] end
end
return {waiting, redis.call('HMGET', KEYS[3], 'stamp', 'born')}
