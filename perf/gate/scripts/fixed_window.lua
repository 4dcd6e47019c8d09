-- fixed_window.lua: at most `limit` in each period counted from the epoch. Cheap, and up to twice the limit may
-- come around the edge of two windows.
--
-- Stored: ">ddd" number of the window, amount used in it, time of the last charge (microseconds).

local function fixed_window()
  local algorithm = {}

  function algorithm.read(raw, now, rule)
    local state = {window = math.floor(now / rule.period), used = 0, now = now, rule = rule}
    if raw then
      local window, used, last = struct.unpack('>ddd', raw)
      if window >= state.window then state.window, state.used, state.last = window, used, last end
    end
    return state
  end

  function algorithm.charge(state, amount)
    state.used = state.used + amount
  end

  -- When the client was charged last; nil if that is forgotten.
  function algorithm.last(state)
    return state.last
  end

  function algorithm.remaining(state)
    return state.rule.limit - state.used
  end

  function algorithm.reset(state)
    return (state.window + 1) * state.rule.period - state.now
  end

  function algorithm.wait(state, amount)
    if state.used + amount <= state.rule.limit then return 0 end
    return algorithm.reset(state)
  end

  function algorithm.write(state)
    return struct.pack('>ddd', state.window, state.used, state.now), algorithm.reset(state)
  end

  return algorithm
end
