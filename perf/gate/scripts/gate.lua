-- gate.lua: the one exchange of a request: revision check, limit decisions, cache look-up, statistics.
--
-- KEYS  1 published revision (string)
--       2 identity version of the caller (string; absent: unchanged for longer than a token lives)
--       3 ... counters, one per limit
--       then statistics, prefix; ranking of blocked clients, prefix
--       then invalidations (sorted set: tag -> microseconds), entry, lease   (only where the cache is asked)
--       then per limit whose clients are bounded: its tally, and the shared counter (see clients.lua)
-- ARGV  1 revision the caller decided by
--       2 identity version the caller presents, or ""
--       3 mode: "count" | "blocked" (an access rule refuses; only counted) | "quiet" (look again; nothing counted)
--       4 number of limits             5 "get" to ask the cache, else ""
--       6 cache policy's id            7 TTL   8 stale while revalidate   9 stale if error   10 negative TTL
--         (microseconds)              11 "origin" if the view's own freshness counts, else ""   12 early refresh
--      13 etag the caller holds       14 lease token   15 lease (milliseconds)   16 tags, separated by spaces
--      then per limit: id, algorithm, limit, period (microseconds), capacity, cost, "observe"/"", "penalty"/"",
--      and how many clients may have a counter of their own, 0 for any number
--      then pairs of field and number to add to the statistics (see statistics.lua)
-- reply {"behind", published}          the caller's revision is not the published one; nothing happened
--       {"changed", version}           the caller's identity changed; nothing happened
--       {"ok", now, limits, cache}     limits: per limit {allowed 0/1, remaining, reset, wait}, times in microseconds
--                                      cache: {state, age, blob, lifetime}, see entry.lua; empty where not asked
--
-- Every definition and every command costs each request a little, so what is not needed is not made.

local FIRST_LIMIT, LIMIT_ARGS = 17, 9
local mode, limit_count, asks_cache = ARGV[3], tonumber(ARGV[4]), ARGV[5] == 'get'
local STATISTICS, RANKING = KEYS[limit_count + 3], KEYS[limit_count + 4]
local next_key = limit_count + (asks_cache and 8 or 5)

local stored = redis.call('MGET', unpack(KEYS, 1, limit_count + 2))
if stored[1] ~= ARGV[1] then return {'behind', stored[1] or ''} end
if ARGV[2] ~= '' and stored[2] and stored[2] ~= ARGV[2] then return {'changed', stored[2]} end

local time = redis.call('TIME')
local NOW = time[1] * 1000000 + time[2]

--@include statistics.lua
--@include sliding_window.lua
--@include fixed_window.lua
--@include token_bucket.lua
--@include clients.lua
--@include settle.lua

local algorithms = {sliding_window = sliding_window, fixed_window = fixed_window, token_bucket = token_bucket}
local made, is_crowded, tally = {}, nil, nil

local limits, all_allow = {}, true
for i = 1, limit_count do
  local at = FIRST_LIMIT + (i - 1) * LIMIT_ARGS
  local name, most = ARGV[at + 1], tonumber(ARGV[at + 8])
  made[name] = made[name] or algorithms[name]()
  local algorithm, raw = made[name], stored[i + 2]
  local rule = {limit = tonumber(ARGV[at + 2]), period = tonumber(ARGV[at + 3]), capacity = tonumber(ARGV[at + 4])}
  local limit = {
    key = KEYS[i + 2], id = ARGV[at], algorithm = algorithm, cost = tonumber(ARGV[at + 5]),
    observe = ARGV[at + 6] ~= '', penalty = ARGV[at + 7] ~= '',
  }
  if most > 0 then
    if not tally then is_crowded, tally = clients() end
    limit.tally = KEYS[next_key]
    if not raw and is_crowded(limit.tally, rule, most) then
      limit.key, limit.tally = KEYS[next_key + 1], nil
      raw = redis.call('GET', limit.key)
    end
    next_key = next_key + 2
  end
  limit.state = algorithm.read(raw, NOW, rule)
  limit.allowed = algorithm.remaining(limit.state) >= limit.cost
  if not limit.allowed and not limit.observe then all_allow = false end
  limits[i] = limit
end

local function charging(limit)
  if limit.tally then tally(limit) end
end

local function keep(limit, raw, lifetime)
  redis.call('SET', limit.key, raw, 'PX', math.max(1, math.ceil(lifetime / 1000)))
end

local decisions, outcomes = settle(limits, all_allow, charging, keep)

local cache = {}
if all_allow and asks_cache then
  --@include entry.lua
  local tags = {}
  for tag in string.gmatch(ARGV[16], '%S+') do tags[#tags + 1] = tag end
  cache = {look_up(KEYS[limit_count + 6], KEYS[limit_count + 7], KEYS[limit_count + 5], {
    ttl = tonumber(ARGV[7]), stale_while_revalidate = tonumber(ARGV[8]), stale_if_error = tonumber(ARGV[9]),
    negative_ttl = tonumber(ARGV[10]), honours_origin = ARGV[11] ~= '', early = tonumber(ARGV[12]),
    known_etag = ARGV[13], token = ARGV[14], lease_ms = ARGV[15], tags = tags,
  })}
end

if mode ~= 'quiet' then
  local request = mode == 'blocked' and 'rule' or all_allow and 'allowed' or 'blocked'
  count(request .. '|' .. table.concat(outcomes, ',') .. '|' .. (cache[1] and ARGV[6] .. '=' .. cache[1] or ''), 1)
end
record(FIRST_LIMIT + limit_count * LIMIT_ARGS)
return {'ok', NOW, decisions, cache}
