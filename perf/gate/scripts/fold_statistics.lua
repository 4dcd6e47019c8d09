-- fold_statistics.lua: running totals of all events, made from the minutes of statistics.lua as they are over.
--
-- KEYS  1  totals (hash: field -> number); its field "folded" is the last minute that is in them
--       2… statistics of minutes, oldest first, without gaps
-- ARGV  1  seconds that the totals outlive the last time they were read
--       2… the minutes since the epoch, as the keys have them
-- reply fields and numbers by turns: the totals, with what the minutes count that are not over yet
--
-- Only Redis' clock puts events into minutes, so one that is over counts nothing any more, and each is added once,
-- however many ask at the same time.

local TOTALS = KEYS[1]
local this_minute = math.floor(tonumber(redis.call('TIME')[1]) / 60)
local folded = tonumber(redis.call('HGET', TOTALS, 'folded')) or 0
local running = {}

for i = 2, #KEYS do
  local minute = tonumber(ARGV[i])
  if minute > folded then
    local counts = redis.call('HGETALL', KEYS[i])
    for j = 1, #counts, 2 do
      if minute < this_minute then
        redis.call('HINCRBY', TOTALS, counts[j], counts[j + 1])
      else
        running[counts[j]] = (running[counts[j]] or 0) + tonumber(counts[j + 1])
      end
    end
    if minute < this_minute then
      folded = minute
      redis.call('HSET', TOTALS, 'folded', minute)
    end
  end
end
redis.call('EXPIRE', TOTALS, ARGV[1])

local totals = redis.call('HGETALL', TOTALS)
for j = 1, #totals, 2 do
  local more = running[totals[j]]
  if more then
    totals[j + 1] = tostring(tonumber(totals[j + 1]) + more)
    running[totals[j]] = nil
  end
end
for field, number in pairs(running) do
  totals[#totals + 1] = field
  totals[#totals + 1] = tostring(number)
end
return totals
