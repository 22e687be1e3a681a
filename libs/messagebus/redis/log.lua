-- In front of every script that writes: the log goes on, and nobody goes on from what it has lost.
--
-- A server that crashed under appendfsync everysec, was restored from a backup, or gave way to a replica has an older
-- log than its clients have seen. Every write gets a stamp, one more than the last; the first write under a new server
-- gets the microseconds of its time, so that no stamp is ever given out twice (nobody writes a million times a second).
-- Every client sends the greatest stamp it knows of (its mark) and the identity of the server at the other end of its
-- connection. What lies between the last stamp of the surviving log and the first one under the next server is a gap:
-- those stamps were lost, if they were ever given out. A writer whose mark lies in a gap, or behind the end of the
-- log, knows of something lost, and so would what it writes.
--
-- KEYS and ARGV begin with the key of the log, the identity and the mark; they are taken off here, so that the script
-- behind this text counts its own from 1.
--
-- Hash at that key: run = identity of the server that took the last write, stamp = of that write, born = first stamp
-- under that identity, gaps = "from-to" of each change of identity, newest last.

local log_key, log_run, log_mark = table.remove(KEYS, 1), table.remove(ARGV, 1), tonumber(table.remove(ARGV, 1))
local log = redis.call('HMGET', log_key, 'run', 'stamp', 'born')
local log_last = tonumber(log[2] or '0')

local log_knows_lost = log_mark > log_last
if log_mark > 0 and log_mark < tonumber(log[3] or '0') then
  for from, to in string.gmatch(redis.call('HGET', log_key, 'gaps'), '(%d+)-(%d+)') do
    log_knows_lost = log_knows_lost or (log_mark > tonumber(from) and log_mark < tonumber(to))
  end
end
if log_knows_lost then return redis.error_reply('LOST ' .. (log[2] or '0')) end

-- Called once the write is certain; returns its stamp.
local function log_go_on()
  if log[1] == log_run then return redis.call('HINCRBY', log_key, 'stamp', 1) end
  local now = redis.call('TIME')
  local stamp = string.format('%.0f', math.max(now[1] * 1000000 + now[2], log_last + 1))
  local gaps = {}
  for gap in string.gmatch(redis.call('HGET', log_key, 'gaps') or '', '%S+') do gaps[#gaps + 1] = gap end
  gaps[#gaps + 1] = string.format('%.0f-%s', log_last, stamp)
  local kept = table.concat(gaps, ' ', math.max(1, #gaps - 63))
  redis.call('HSET', log_key, 'run', log_run, 'stamp', stamp, 'born', stamp, 'gaps', kept)
  return stamp
end

