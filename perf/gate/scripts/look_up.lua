-- look_up.lua: the cache's part of gate.lua, for entries that live in another slot than the limits.
--
-- KEYS  1 entry   2 lease   3 invalidations (sorted set: tag -> microseconds)
-- ARGV  1 TTL   2 stale while revalidate   3 stale if error (microseconds)
--       4 etag the caller holds   5 lease token   6 lease (milliseconds)   7 tags, separated by spaces
-- reply {now, state, age, blob}, see entry.lua

local time = redis.call('TIME')
local NOW = time[1] * 1000000 + time[2]

--@include entry.lua

local tags = {}
for tag in string.gmatch(ARGV[7], '%S+') do tags[#tags + 1] = tag end
local state, age, blob = look_up(KEYS[1], KEYS[2], KEYS[3], {
  ttl = tonumber(ARGV[1]), stale_while_revalidate = tonumber(ARGV[2]), stale_if_error = tonumber(ARGV[3]),
  known_etag = ARGV[4], token = ARGV[5], lease_ms = ARGV[6], tags = tags,
})
return {NOW, state, age, blob}
