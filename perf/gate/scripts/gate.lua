-- gate.lua: the one exchange of a request: revision check, limit decisions, cache look-up, statistics.
--
-- KEYS  1 published revision (string)
--       2 identity version of the caller (string; absent: unchanged for longer than a token lives)
--       3 statistics, prefix           4 ranking of blocked clients, prefix
--       5 invalidations (sorted set: tag -> microseconds)
--       6 entry   7 lease              (only read where the cache is asked)
--       8 ... per limit its counter; where clients are bounded, also their tally and the shared counter
-- ARGV  1 revision the caller decided by
--       2 identity version the caller presents, or ""
--       3 mode: "count" | "blocked" (an access rule refuses; only counted) | "quiet" (look again; nothing counted)
--       4 number of limits             5 "get" to ask the cache, else ""
--       6 cache policy's id            7 TTL   8 stale while revalidate   9 stale if error (microseconds)
--      10 etag the caller holds       11 lease token   12 lease (milliseconds)   13 tags, separated by spaces
--      then per limit: id, algorithm, limit, period (microseconds), capacity, cost, "observe"/"", "penalty"/"",
--      and how many clients may have a counter of their own, 0 for any number (see clients.lua)
--      then pairs of field and number to add to the statistics
-- reply {"behind", published}          the caller's revision is not the published one; nothing happened
--       {"changed", version}           the caller's identity changed; nothing happened
--       {"ok", now, limits, cache}     limits: per limit {allowed 0/1, remaining, reset, wait}, times in microseconds
--                                      cache: {state, age, blob}, see entry.lua; empty where not asked
--
-- Nothing is charged unless every enforced limit allows; a limit with "penalty" charges what it refuses itself.

local REVISION, IDENTITY, STATISTICS, RANKING = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local INVALIDATIONS, ENTRY, LEASE = KEYS[5], KEYS[6], KEYS[7]
local FIRST_COUNTER, FIRST_LIMIT, LIMIT_ARGS = 8, 14, 9

local published = redis.call('GET', REVISION)
if published ~= ARGV[1] then return {'behind', published or ''} end
if ARGV[2] ~= '' then
  local version = redis.call('GET', IDENTITY)
  if version and version ~= ARGV[2] then return {'changed', version} end
end

local time = redis.call('TIME')
local NOW = time[1] * 1000000 + time[2]

--@include statistics.lua
--@include sliding_window.lua
--@include fixed_window.lua
--@include token_bucket.lua
--@include clients.lua
--@include entry.lua

local algorithms = {sliding_window = sliding_window, fixed_window = fixed_window, token_bucket = token_bucket}
local mode, limit_count = ARGV[3], tonumber(ARGV[4])
local first_statistic = FIRST_LIMIT + limit_count * LIMIT_ARGS
record(first_statistic)

local next_key = FIRST_COUNTER

local function read_limit(i)
  local at = FIRST_LIMIT + (i - 1) * LIMIT_ARGS
  local rule = {
    limit = tonumber(ARGV[at + 2]), period = tonumber(ARGV[at + 3]), capacity = tonumber(ARGV[at + 4]),
  }
  local algorithm = algorithms[ARGV[at + 1]]
  local limit = {
    key = KEYS[next_key], id = ARGV[at], algorithm = algorithm, cost = tonumber(ARGV[at + 5]),
    observe = ARGV[at + 6] ~= '', penalty = ARGV[at + 7] ~= '',
  }
  local raw, most = redis.call('GET', limit.key) or nil, tonumber(ARGV[at + 8])
  if most > 0 then
    limit.tally = KEYS[next_key + 1]
    if not raw and is_crowded(limit.tally, rule, most) then
      limit.key, limit.tally = KEYS[next_key + 2], nil
      raw = redis.call('GET', limit.key) or nil
    end
    next_key = next_key + 2
  end
  next_key = next_key + 1
  limit.state = algorithm.read(raw, NOW, rule)
  limit.allowed = algorithm.remaining(limit.state) >= limit.cost
  return limit
end

local function charge(limit)
  if limit.cost == 0 then return end
  if limit.tally then tally(limit) end
  limit.algorithm.charge(limit.state, limit.cost)
  local raw, lifetime = limit.algorithm.write(limit.state)
  redis.call('SET', limit.key, raw, 'PX', math.max(1, math.ceil(lifetime / 1000)))
end

local limits, all_allow = {}, true
for i = 1, limit_count do
  local limit = read_limit(i)
  limits[i] = limit
  if not limit.allowed and not limit.observe then all_allow = false end
end

local decisions = {}
for i, limit in ipairs(limits) do
  local outcome = 'allowed'
  if limit.allowed then
    if all_allow then charge(limit) end
  else
    outcome = limit.observe and 'observed' or 'blocked'
    if limit.penalty then charge(limit) end
  end
  if all_allow or outcome ~= 'allowed' then count('limit:' .. limit.id .. ':' .. outcome, 1) end
  local wait = 0
  if not limit.allowed then wait = limit.algorithm.wait(limit.state, limit.cost) end
  decisions[i] = {
    limit.allowed and 1 or 0,
    math.max(0, limit.algorithm.remaining(limit.state)),
    limit.algorithm.reset(limit.state),
    wait,
  }
end

if mode == 'blocked' then
  count('rule:blocked', 1)
elseif mode == 'count' then
  count(all_allow and 'request:allowed' or 'request:blocked', 1)
end

local cache = {}
if all_allow and ARGV[5] == 'get' then
  local tags = {}
  for tag in string.gmatch(ARGV[13], '%S+') do tags[#tags + 1] = tag end
  local state, age, blob = look_up(ENTRY, LEASE, INVALIDATIONS, {
    ttl = tonumber(ARGV[7]), stale_while_revalidate = tonumber(ARGV[8]), stale_if_error = tonumber(ARGV[9]),
    known_etag = ARGV[10], token = ARGV[11], lease_ms = ARGV[12], tags = tags,
  })
  if mode == 'count' then count('cache:' .. ARGV[6] .. ':' .. state, 1) end
  cache = {state, age, blob}
end

return {'ok', NOW, decisions, cache}
