-- Note what is done with a dead letter, once, and publish its event again if there is one to publish.
--
-- KEYS  1 letters  hash letter id -> what was done   2 readers  hash reader -> names of its streams (msgpack array)
--       3 tails    4 stream to publish to (a retry only)
-- ARGV  1 letter id   2 what is done   3 reader that failed   4 1 if other readers of the stream may handle it again
--       5 name of the stream   6 record batch (a retry only)
-- Returns '' when it was noted, else what had been noted before. Errors: "SHARED <other readers>".

local before = redis.call('HGET', KEYS[1], ARGV[1])
if before then return before end
if KEYS[4] then
  local others = {}
  local readers = redis.call('HGETALL', KEYS[2])
  for i = 1, #readers, 2 do
    for _, stream in ipairs(cmsgpack.unpack(readers[i + 1])) do
      if stream == ARGV[5] and readers[i] ~= ARGV[3] then others[#others + 1] = readers[i] end
    end
  end
  if #others > 0 and ARGV[4] ~= '1' then
    table.sort(others)
    return redis.error_reply('SHARED ' .. table.concat(others, ', '))
  end
  local tail = redis.call('XADD', KEYS[4], '*', 'd', ARGV[6], 'g', ARGV[3])
  redis.call('HSET', KEYS[3], ARGV[5], tail)
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return ''
