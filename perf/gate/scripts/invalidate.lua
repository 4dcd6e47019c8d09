-- invalidate.lua: makes every entry with one of the tags void, in time independent of the number of entries.
--
-- KEYS  1 invalidations (sorted set: tag -> microseconds of its last invalidation)
-- ARGV  1 microseconds after which no entry can be left   2 ... tags; "*" means every entry
-- reply the time of the invalidation (microseconds)
--
-- "*" also stands for the age of the record itself, so it is never dropped. When the record grows too long, its older
-- half is dropped and "*" raised to the newest time dropped: more is void than need be, never less.

local MAX_TAGS = 100000
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now, ARGV[i]) end
local everything = redis.call('ZSCORE', KEYS[1], '*')
if not everything then
  -- No record, or a lost one: what was stored before cannot be judged.
  redis.call('ZADD', KEYS[1], now, '*')
  everything = now
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[1]))
if redis.call('ZCARD', KEYS[1]) > MAX_TAGS then
  local newest = redis.call('ZRANGE', KEYS[1], MAX_TAGS / 2, MAX_TAGS / 2, 'WITHSCORES')[2]
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, MAX_TAGS / 2)
  everything = math.max(tonumber(everything), tonumber(newest))
end
if not redis.call('ZSCORE', KEYS[1], '*') then redis.call('ZADD', KEYS[1], everything, '*') end
return now
