-- Write down what a worker did, all or none; an entry whose events are all settled is acknowledged.
--
-- KEYS  1 stream   2 holder  consumer that serves the stream, if it is ordered   3 stream of dead letters   4 tails
--       5..  progress hash of each entry
-- ARGV  1 group   2 consumer   3 1 if the stream is ordered   4 seconds progress is kept   5 name of 3
--       6.. of each entry: id, events in it, number of settled ones or -1 for all, their indices, number of failed ones,
--           (index, "attempts,due") of each, number of letters, (index, record batch) of each
-- Returns of each entry 1 acknowledged, 0 open, -1 not pending. Errors: "INACTIVE <holder>".

if ARGV[3] == '1' then
  local holder = redis.call('GET', KEYS[2])
  if holder ~= ARGV[2] then return redis.error_reply('INACTIVE ' .. (holder or 'nobody')) end
end

local at = 6
local function take()
  at = at + 1
  return ARGV[at - 1]
end

local verdicts = {}
for i = 5, #KEYS do
  local key, id, total, settled = KEYS[i], take(), tonumber(take()), tonumber(take())
  local fields, failed, letters = {}, {}, {}
  for _ = 1, settled do
    fields[#fields + 1] = 's' .. take()
    fields[#fields + 1] = ''
  end
  for n = 1, tonumber(take()) do failed[n] = {take(), take()} end
  for n = 1, tonumber(take()) do letters[n] = {take(), take()} end

  -- XPENDING fails without the group; then nothing is pending either. Whole entries, the usual case, need not ask.
  local pending = settled == -1 and {} or redis.pcall('XPENDING', KEYS[1], ARGV[1], id, id, 1)
  if settled == -1 then
    verdicts[#verdicts + 1] = redis.call('XACK', KEYS[1], ARGV[1], id) == 1 and 1 or -1
    redis.call('DEL', key)
  elseif pending.err or #pending == 0 then
    verdicts[#verdicts + 1] = -1
  else
    local new = 0
    for _, letter in ipairs(letters) do
      if redis.call('HEXISTS', key, 's' .. letter[1]) == 0 then
        local tail = redis.call('XADD', KEYS[3], '*', 'd', letter[2])
        redis.call('HSET', KEYS[4], ARGV[5], tail)
        redis.call('HSET', key, 's' .. letter[1], '')
        new = new + 1
      end
    end
    for first = 1, #fields, 1000 do
      new = new + redis.call('HSET', key, unpack(fields, first, math.min(first + 999, #fields)))
    end
    local done = redis.call('HINCRBY', key, 'n', new)
    for _, one in ipairs(failed) do
      if redis.call('HEXISTS', key, 's' .. one[1]) == 0 then redis.call('HSET', key, 'f' .. one[1], one[2]) end
    end
    if done >= total then
      redis.call('XACK', KEYS[1], ARGV[1], id)
      redis.call('DEL', key)
      verdicts[#verdicts + 1] = 1
    else
      redis.call('EXPIRE', key, ARGV[4])
      verdicts[#verdicts + 1] = 0
    end
  end
end
return verdicts
