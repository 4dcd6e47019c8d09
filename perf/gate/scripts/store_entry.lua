-- store_entry.lua: keeps a computed response, if this request still holds the lease and nothing was invalidated
-- since its computing began; then ends the lease and wakes who waits.
--
-- KEYS  1 entry   2 lease   3 wake list   4 invalidations
--       5 expiries (sorted set: entry key -> microseconds)   6 sizes (hash: entry key -> bytes)   7 bytes in all
-- ARGV  1 lease token   2 time the computing began (microseconds)   3 microseconds it took   4 etag (16 bytes)
--       5 tags, separated by spaces   6 sealed content   7 retention (milliseconds)   8 budget (bytes)
--       9 kind   10 lifetime the view gave it (microseconds), or -1; see entry.lua
-- reply "stored" | "lost" (the lease went to another) | "invalidated" | "too large" (for the budget)
--
-- Entries are bounded by a budget of their own: what expires first makes room. Sizes of entries that Redis has
-- expired by itself are given back when their time comes up here. A size is that of the entry and of what Redis needs
-- to keep it: its key stands in three places, and each place takes some 70 bytes (measured with Valkey 9).

local ENTRY, LEASE, WAKE, INVALIDATIONS, EXPIRIES, SIZES, BYTES = unpack(KEYS)
local token, began, tags = ARGV[1], tonumber(ARGV[2]), ARGV[5]
local WAKE_MS = 5000
local PLACES, PLACE_BYTES = 3, 70

local time = redis.call('TIME')
local NOW = time[1] * 1000000 + time[2]

--@include entry.lua

local function forget(key)
  local size = tonumber(redis.call('HGET', SIZES, key) or 0)
  redis.call('HDEL', SIZES, key)
  redis.call('ZREM', EXPIRIES, key)
  return redis.call('DECRBY', BYTES, size)
end

local function make_room(bytes, budget)
  local used = forget(ENTRY)
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', EXPIRIES, '-inf', NOW, 'LIMIT', 0, 50)) do used = forget(key) end
  while used + bytes > budget do
    local first = redis.call('ZRANGE', EXPIRIES, 0, 0)[1]
    if not first then return false end
    redis.call('UNLINK', first)
    used = forget(first)
  end
  return true
end

if redis.call('GET', LEASE) ~= token then return 'lost' end
redis.call('DEL', LEASE)
redis.call('RPUSH', WAKE, '1')
redis.call('PEXPIRE', WAKE, WAKE_MS)

local all_tags = {}
for tag in string.gmatch(tags, '%S+') do all_tags[#all_tags + 1] = tag end
if is_void(INVALIDATIONS, began, all_tags) then return 'invalidated' end

local kind, took, own_lifetime = tonumber(ARGV[9]), tonumber(ARGV[3]), tonumber(ARGV[10])
local head = struct.pack('>BBddddc16I2', 2, kind, began, NOW, took, own_lifetime, ARGV[4], #tags)
local blob = head .. tags .. ARGV[6]
local size = #blob + PLACES * (#ENTRY + PLACE_BYTES)
if not make_room(size, tonumber(ARGV[8])) then return 'too large' end
local retention = tonumber(ARGV[7])
redis.call('SET', ENTRY, blob, 'PX', retention)
redis.call('ZADD', EXPIRIES, NOW + retention * 1000, ENTRY)
redis.call('HSET', SIZES, ENTRY, size)
redis.call('INCRBY', BYTES, size)
return 'stored'
