-- Remove one chunk of the oldest entries of a stream, never past what a reader may still have to read.
--
-- KEYS  1 stream   2 trimmed  hash stream name -> newest removed id
--       3 readers  hash reader name -> names of its streams (msgpack array)
--       4 bounds   hash reader name -> bound of its older snapshot: {number, {stream name -> entry id}} (msgpack)
-- ARGV  1 stream name   2 entries to keep at least   3 entries to remove at most
-- Returns the number of entries removed; the caller repeats while it is a full chunk.

local function parts(id)
  local a, b = string.match(id, '(%d+)-(%d+)')
  return tonumber(a), tonumber(b)
end

local function before(left, right)
  local a, b = parts(left)
  local c, d = parts(right)
  return a < c or (a == c and b < d)
end

-- The lowest position any reader could restart from; nil = no reader, false = a reader that could start anywhere.
local function bound()
  local lowest = nil
  local readers = redis.call('HGETALL', KEYS[3])
  for i = 1, #readers, 2 do
    for _, stream in ipairs(cmsgpack.unpack(readers[i + 1])) do
      if stream == ARGV[1] then
        local packed = redis.call('HGET', KEYS[4], readers[i])
        local position = packed and cmsgpack.unpack(packed)[2][stream]
        if not position then return false end
        if not lowest or before(position, lowest) then lowest = position end
      end
    end
  end
  return lowest
end

-- The same for consumer groups: what is pending or was not given out yet stays, or it would be lost without a word.
local function group_bound(lowest)
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local facts = {}
    for i = 1, #flat, 2 do facts[flat[i]] = flat[i + 1] end
    local floor = facts['last-delivered-id']
    if facts.pending > 0 then
      local oldest = redis.call('XPENDING', KEYS[1], facts.name)[2]
      local before_it = redis.call('XREVRANGE', KEYS[1], '(' .. oldest, '-', 'COUNT', 1)[1]
      floor = before_it and before_it[1] or '0-0'
    end
    if not lowest or before(floor, lowest) then lowest = floor end
  end
  return lowest
end

local spare = math.min(redis.call('XLEN', KEYS[1]) - tonumber(ARGV[2]), tonumber(ARGV[3]))
if spare <= 0 then return 0 end
local lowest = bound()
if lowest == false then return 0 end
lowest = group_bound(lowest)

-- XTRIM counts entries or compares ids, never both, so the ids are looked up first: a chunk at a time, because XRANGE
-- copies what it lists.
local last, removed = nil, 0
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', lowest or '+', 'COUNT', spare)) do
  last, removed = entry[1], removed + 1
end
if removed == 0 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], last)
redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', redis.call('XLEN', KEYS[1]) - removed)
return removed
