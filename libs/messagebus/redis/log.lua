-- In front of every script that writes: the log goes on, and nobody goes on from what it has lost.
--
-- A server that crashed under appendfsync everysec, was restored from a backup, or gave way to a replica has an older
-- log than its clients have seen. Every write gets a stamp (microseconds, growing). Every client sends the greatest
-- stamp it knows of (its mark) and the identity of the server at the other end of its connection. The first write
-- under a new identity closes a gap: stamps between the last of the surviving log and this write were lost, if they
-- were ever given out. A writer whose mark lies in a gap, or behind the end of the log, knows of something lost, and
-- so would what it writes.
--
-- KEYS and ARGV begin with the key of the log, the identity and the mark; they are taken off here, so that the script
-- behind this text counts its own from 1.
--
-- Hash at that key: run = identity of the server that took the last write, stamp = of that write, born = stamp of the
-- first write under that identity, gaps = "from-to " of each change of identity, newest last.

local LOG_GAPS = 64
local log_key, log_run, log_mark = table.remove(KEYS, 1), table.remove(ARGV, 1), tonumber(table.remove(ARGV, 1))

local function integer(number) return string.format('%.0f', number) end

-- The fields to set in the hash once the write is certain, and its stamp; nil when the writer knows of something lost.
local function go_on()
  local log = redis.call('HMGET', log_key, 'run', 'stamp', 'born')
  local last, born, known = tonumber(log[2] or '0'), tonumber(log[3] or '0'), log_mark
  if known > last then return nil end
  if known > 0 and known < born then
    for from, to in string.gmatch(redis.call('HGET', log_key, 'gaps') or '', '(%d+)-(%d+)') do
      if known > tonumber(from) and known < tonumber(to) then return nil end
    end
  end
  local now = redis.call('TIME')
  local stamp = integer(math.max(now[1] * 1000000 + now[2], last + 1))
  if log[1] == log_run then return {'stamp', stamp}, stamp end
  local gaps = {}
  for gap in string.gmatch(redis.call('HGET', log_key, 'gaps') or '', '%S+') do gaps[#gaps + 1] = gap end
  gaps[#gaps + 1] = integer(last) .. '-' .. stamp
  return {'run', log_run, 'stamp', stamp, 'born', stamp,
          'gaps', table.concat(gaps, ' ', math.max(1, #gaps - LOG_GAPS + 1))}, stamp
end

local log, log_stamp = go_on()
if not log then return redis.error_reply('LOST ' .. (redis.call('HGET', log_key, 'stamp') or '0')) end

