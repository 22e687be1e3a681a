-- Take over entries that nobody has shown interest in for a while.
--
-- KEYS  1 stream
-- ARGV  1 group   2 consumer   3 milliseconds without interest   4 count
-- Returns {{{id, fields, deliveries}, ...}, {ids whose data are gone, ...}}.
--
-- Ids first, data and delivery counts after: XAUTOCLAIM of 6.2 answers nothing for trimmed entries and keeps them
-- pending, that of 7.0 lists and drops them. This way both mean the same. Cursors are followed because one call looks at
-- ten times its count at most, which may all be young.

local ids, lost, cursor = {}, {}, '0-0'
repeat
  local found = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], cursor, 'COUNT', ARGV[4] - #ids, 'JUSTID')
  cursor = found[1]
  for _, id in ipairs(found[2]) do ids[#ids + 1] = id end
  for _, id in ipairs(found[3] or {}) do lost[#lost + 1] = id end
until cursor == '0-0' or #ids >= tonumber(ARGV[4])

local taken = {}
for _, id in ipairs(ids) do
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if entry then
    local deliveries = redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)[1][4] + 1
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'RETRYCOUNT', deliveries, 'JUSTID')
    taken[#taken + 1] = {id, entry[2], deliveries}
  else
    redis.call('XACK', KEYS[1], ARGV[1], id)
    lost[#lost + 1] = id
  end
end
return {taken, lost}
