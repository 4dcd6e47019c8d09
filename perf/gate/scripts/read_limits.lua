-- read_limits.lua: where a client stands with limits, without counting anything.
--
-- KEYS  1 ... counters
-- ARGV  per counter: algorithm, limit, period (microseconds), capacity
-- reply per counter {used, remaining, reset}; used is 0 for a client that is not known, times in microseconds

local time = redis.call('TIME')
local NOW = time[1] * 1000000 + time[2]

--@include sliding_window.lua
--@include fixed_window.lua
--@include token_bucket.lua

local algorithms = {sliding_window = sliding_window, fixed_window = fixed_window, token_bucket = token_bucket}
local made, standings = {}, {}
for i, key in ipairs(KEYS) do
  local at = (i - 1) * 4
  local rule = {limit = tonumber(ARGV[at + 2]), period = tonumber(ARGV[at + 3]), capacity = tonumber(ARGV[at + 4])}
  local name, raw = ARGV[at + 1], redis.call('GET', key)
  made[name] = made[name] or algorithms[name]()
  local algorithm = made[name]
  local state = algorithm.read(raw or nil, NOW, rule)
  local remaining = algorithm.remaining(state)
  local used = raw and rule.capacity - remaining or 0
  standings[i] = {used, math.max(0, remaining), used > 0 and algorithm.reset(state) or 0}
end
return standings
