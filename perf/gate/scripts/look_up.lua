-- look_up.lua: the cache's part of gate.lua, for entries that live in another slot than the limits.
--
-- KEYS  1 entry   2 lease   3 invalidations (sorted set: tag -> microseconds)
-- ARGV  1 TTL   2 stale while revalidate   3 stale if error   4 negative TTL (microseconds)
--       5 "origin" if the view's own freshness counts, else ""   6 early refresh
--       7 etag the caller holds   8 lease token   9 lease (milliseconds)   10 tags, separated by spaces
-- reply {now, state, age, blob, lifetime}, see entry.lua

local time = redis.call('TIME')
local NOW = time[1] * 1000000 + time[2]

--@include entry.lua

local tags = {}
for tag in string.gmatch(ARGV[10], '%S+') do tags[#tags + 1] = tag end
return {NOW, look_up(KEYS[1], KEYS[2], KEYS[3], {
  ttl = tonumber(ARGV[1]), stale_while_revalidate = tonumber(ARGV[2]), stale_if_error = tonumber(ARGV[3]),
  negative_ttl = tonumber(ARGV[4]), honours_origin = ARGV[5] ~= '', early = tonumber(ARGV[6]),
  known_etag = ARGV[7], token = ARGV[8], lease_ms = ARGV[9], tags = tags,
})}
