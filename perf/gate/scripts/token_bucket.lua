-- token_bucket.lua: `capacity` at once, refilled with `limit` per `period`; the generic cell rate algorithm
-- (ITU-T I.371) written as a leaky bucket's level, so that a changed rate keeps what was used.
--
-- The level is in token-microseconds (tokens x period), which whole numbers hold without rounding.
-- Stored: ">ddd" level, time of the level, period it is measured in (microseconds).

local function token_bucket()
  local algorithm = {}

  function algorithm.read(raw, now, rule)
    local state = {level = 0, now = now, rule = rule}
    if raw then
      local level, time, period = struct.unpack('>ddd', raw)
      state.last = time
      if time > now then state.now = time end
      if period ~= rule.period then level = math.ceil(level / period * rule.period) end
      state.level = math.max(0, level - rule.limit * (state.now - time))
    end
    return state
  end

  -- Penalties end at one more capacity, so that no client is shut out for ever.
  function algorithm.charge(state, amount)
    local rule = state.rule
    state.level = math.min(state.level + amount * rule.period, 2 * rule.capacity * rule.period)
  end

  -- When the client was charged last; nil if that is forgotten.
  function algorithm.last(state)
    return state.last
  end

  function algorithm.remaining(state)
    return math.floor((state.rule.capacity * state.rule.period - state.level) / state.rule.period)
  end

  function algorithm.wait(state, amount)
    local rule = state.rule
    local missing = state.level + (amount - rule.capacity) * rule.period
    return math.max(0, math.ceil(missing / rule.limit))
  end

  -- Microseconds until one more token is back.
  function algorithm.reset(state)
    local rule = state.rule
    if state.level <= 0 then return 0 end
    local over = state.level % rule.period
    if over == 0 then over = rule.period end
    return math.ceil(over / rule.limit)
  end

  function algorithm.write(state)
    local empty_in = math.ceil(state.level / state.rule.limit)
    return struct.pack('>ddd', state.level, state.now, state.rule.period), empty_in
  end

  return algorithm
end
