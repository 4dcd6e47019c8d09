-- fixed_window.lua: at most `limit` in each period counted from the epoch. Cheap, and up to twice the limit may
-- come around the edge of two windows.
--
-- Stored: ">dd" number of the window, amount used in it.

local fixed_window = {}

function fixed_window.read(raw, now, rule)
  local state = {window = math.floor(now / rule.period), used = 0, now = now, rule = rule}
  if raw then
    local window, used = struct.unpack('>dd', raw)
    if window >= state.window then state.window, state.used = window, used end
  end
  return state
end

function fixed_window.charge(state, amount)
  state.used = state.used + amount
end

function fixed_window.remaining(state)
  return state.rule.limit - state.used
end

function fixed_window.reset(state)
  return (state.window + 1) * state.rule.period - state.now
end

function fixed_window.wait(state, amount)
  if state.used + amount <= state.rule.limit then return 0 end
  return fixed_window.reset(state)
end

function fixed_window.write(state)
  return struct.pack('>dd', state.window, state.used), fixed_window.reset(state)
end
