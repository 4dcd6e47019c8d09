-- sliding_window.lua: never more than `limit` in any interval of `period`, in constant memory.
--
-- The period is cut into SUB_WINDOWS. What is admitted within one sub-window is kept as one pair: the time of its
-- latest request, and how much was used. A pair counts until `period` after that time, so a unit is never
-- forgotten early; it is kept at most one sub-window too long, which costs a client that sends at exactly the limit
-- less than 1 / (SUB_WINDOWS + 1) of it. A client with few requests has each in a pair of its own: an exact log.
--
-- Stored: ">B d I4" format, base time and unit of the offsets (microseconds), then per pair the offset from the base
-- in units and the amount: format 1 (">I4 I2") for limits of up to 65,535, exact to the microsecond for periods of up
-- to 71 minutes; format 2 (">I2 I4") for higher ones. Where a unit is longer than a microsecond, times are rounded up.

local function sliding_window()
  local SUB_WINDOWS = 24
  local FORMATS = {
    {pair = '>I4I2', units = 4294967295, largest = 65535},
    {pair = '>I2I4', units = 50000, largest = 4294967295},
  }

  local algorithm = {}

  local function format_for(rule)
    local number = rule.limit <= FORMATS[1].largest and 1 or 2
    local format = FORMATS[number]
    return format, number, math.ceil(rule.period / format.units)
  end

  function algorithm.read(raw, now, rule)
    local state = {times = {}, amounts = {}, n = 0, used = 0, asked = now, now = now, rule = rule}
    if raw then
      local number, base, unit, at = struct.unpack('>BdI4', raw)
      local pair = FORMATS[number].pair
      while at <= #raw do
        local first, second
        first, second, at = struct.unpack(pair, raw, at)
        local time, amount = base + first * unit, second
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

  function algorithm.charge(state, amount)
    local width = state.rule.period / SUB_WINDOWS
    local format, _, unit = format_for(state.rule)
    local n, time = state.n, state.now
    if n > 0 then time = state.times[1] + math.ceil((time - state.times[1]) / unit) * unit end
    if n > 0 and math.floor(state.times[n] / width) == math.floor(time / width) then
      state.times[n] = time
      state.amounts[n] = math.min(state.amounts[n] + amount, format.largest)
    else
      state.n = n + 1
      state.times[n + 1], state.amounts[n + 1] = time, math.min(amount, format.largest)
    end
    state.used = state.used + amount
  end

  -- When the client was charged last; nil if that is forgotten.
  function algorithm.last(state)
    return state.times[state.n]
  end

  function algorithm.remaining(state)
    return state.rule.limit - state.used
  end

  -- Microseconds until `amount` more can be used.
  function algorithm.wait(state, amount)
    local missing = state.used + amount - state.rule.limit
    local wait = 0
    for i = 1, state.n do
      if missing <= 0 then break end
      missing = missing - state.amounts[i]
      wait = state.times[i] + state.rule.period - state.asked
    end
    return wait
  end

  -- Microseconds until the oldest use is forgotten.
  function algorithm.reset(state)
    if state.n == 0 then return 0 end
    return state.times[1] + state.rule.period - state.asked
  end

  function algorithm.write(state)
    local format, number, unit = format_for(state.rule)
    local base = state.times[1]
    local parts = {struct.pack('>BdI4', number, base, unit)}
    for i = 1, state.n do
      local offset = math.ceil((state.times[i] - base) / unit)
      parts[i + 1] = struct.pack(format.pair, offset, math.min(state.amounts[i], format.largest))
    end
    return table.concat(parts), state.times[state.n] + state.rule.period - state.asked
  end

  return algorithm
end
