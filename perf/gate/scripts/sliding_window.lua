-- sliding_window.lua: never more than `limit` in any interval of `period`, in constant memory.
--
-- The period is cut into SUB_WINDOWS. What is admitted within one sub-window is kept as one pair: the time of its
-- latest request, and how much was used. A pair counts until `period` after that time, so a unit is never
-- forgotten early; it is kept at most one sub-window too long, which costs a client that sends at exactly the limit
-- less than 1 / (SUB_WINDOWS + 1) of it. A client with few requests has each in a pair of its own: an exact log.
--
-- Stored: ">d I4" base time and unit (microseconds), then ">I2 I4" per pair: time since base in units, amount.
-- Times are rounded up to the unit (1/50,000 of the period), amounts end at 2^32 - 1.

local SUB_WINDOWS = 24
local UNITS = 50000
local LARGEST_AMOUNT = 4294967295

local sliding_window = {}

function sliding_window.read(raw, now, rule)
  local state = {times = {}, amounts = {}, n = 0, used = 0, now = now, rule = rule}
  if raw then
    local base, unit, at = struct.unpack('>dI4', raw)
    while at <= #raw do
      local offset, amount
      offset, amount, at = struct.unpack('>I2I4', raw, at)
      local time = base + offset * unit
      if time + rule.period > now then
        state.n = state.n + 1
        state.times[state.n], state.amounts[state.n] = time, amount
        state.used = state.used + amount
      end
    end
    -- A clock that went back, or a time rounded up, must not let anything expire early.
    if state.n > 0 and state.times[state.n] > now then state.now = state.times[state.n] end
  end
  return state
end

function sliding_window.charge(state, amount)
  local width = state.rule.period / SUB_WINDOWS
  local unit = math.ceil(state.rule.period / UNITS)
  local n, time = state.n, state.now
  if n > 0 then time = state.times[1] + math.ceil((time - state.times[1]) / unit) * unit end
  if n > 0 and math.floor(state.times[n] / width) == math.floor(time / width) then
    state.times[n] = time
    state.amounts[n] = math.min(state.amounts[n] + amount, LARGEST_AMOUNT)
  else
    state.n = n + 1
    state.times[n + 1], state.amounts[n + 1] = time, math.min(amount, LARGEST_AMOUNT)
  end
  state.used = state.used + amount
end

function sliding_window.remaining(state)
  return state.rule.limit - state.used
end

-- Microseconds until `amount` more can be used.
function sliding_window.wait(state, amount)
  local missing = state.used + amount - state.rule.limit
  local wait = 0
  for i = 1, state.n do
    if missing <= 0 then break end
    missing = missing - state.amounts[i]
    wait = state.times[i] + state.rule.period - state.now
  end
  return wait
end

-- Microseconds until the oldest use is forgotten.
function sliding_window.reset(state)
  if state.n == 0 then return 0 end
  return state.times[1] + state.rule.period - state.now
end

function sliding_window.write(state)
  local base, unit = state.times[1], math.ceil(state.rule.period / UNITS)
  local parts = {struct.pack('>dI4', base, unit)}
  for i = 1, state.n do
    parts[i + 1] = struct.pack('>I2I4', math.ceil((state.times[i] - base) / unit), state.amounts[i])
  end
  return table.concat(parts), state.times[state.n] + state.rule.period - state.now
end
