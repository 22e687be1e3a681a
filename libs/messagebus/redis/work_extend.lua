-- Show interest in entries, so that nobody takes them over.
--
-- KEYS  1 stream
-- ARGV  1 group   2 consumer   3.. entry ids
-- Returns the ids that belong to somebody else, or to nobody.

local others = {}
for i = 3, #ARGV do
  local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)
  if pending.err or #pending == 0 or pending[1][2] ~= ARGV[2] then
    others[#others + 1] = ARGV[i]
  else
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
  end
end
return others
