-- replay.lua: decides requests of the past, in their order and at their times, by the code that decides live ones.
--
-- KEYS  1 what clients used so far (hash: counter -> state); a scratch of its own, no live counter is touched
-- ARGV  1 seconds that the scratch is kept
--       2 JSON: {"rules": [[algorithm, limit, period (microseconds), capacity, cost, observe, penalty], ...],
--                "visits": [[time (microseconds), rule, counter, rule, counter, ...], ...]}, rules by their place
-- reply "1" or "0" for each limit of each request, in their order: allowed or not
--
-- Limits whose clients are bounded are taken to have room.

local SCRATCH = KEYS[1]

--@include sliding_window.lua
--@include fixed_window.lua
--@include token_bucket.lua
--@include settle.lua

local algorithms = {sliding_window = sliding_window(), fixed_window = fixed_window(), token_bucket = token_bucket()}
local used, changed, replies = {}, {}, {}

local function nothing() end

local function keep(limit, raw)
  used[limit.id], changed[limit.id] = raw, true
end

local function state_of(counter)
  if used[counter] == nil then used[counter] = redis.call('HGET', SCRATCH, counter) end
  return used[counter] or nil
end

local asked = cjson.decode(ARGV[2])
local rules = {}
for i, given in ipairs(asked.rules) do
  local algorithm, limit, period, capacity, cost, observe, penalty = unpack(given)
  rules[i - 1] = {
    algorithm = algorithms[algorithm], cost = cost, observe = observe, penalty = penalty,
    rule = {limit = limit, period = period, capacity = capacity},
  }
end

for _, visit in ipairs(asked.visits) do
  local now, limits, all_allow = visit[1], {}, true
  for i = 2, #visit, 2 do
    local given, counter = rules[visit[i]], visit[i + 1]
    local algorithm = given.algorithm
    local state = algorithm.read(state_of(counter), now, given.rule)
    local allowed = algorithm.remaining(state) >= given.cost
    if not allowed and not given.observe then all_allow = false end
    limits[#limits + 1] = {
      id = counter, algorithm = algorithm, state = state, allowed = allowed, cost = given.cost,
      observe = given.observe, penalty = given.penalty,
    }
    replies[#replies + 1] = allowed and '1' or '0'
  end
  settle(limits, all_allow, nothing, keep)
end

for counter in pairs(changed) do redis.call('HSET', SCRATCH, counter, used[counter]) end
if next(changed) then redis.call('EXPIRE', SCRATCH, ARGV[1]) end
return table.concat(replies)
