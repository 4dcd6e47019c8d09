-- settle.lua: what limits say together of one request, and what it costs them.
--
--   settle(limits, all_allow, charging, keep) -> decisions, outcomes
--     limits     list of {id, algorithm, state, allowed, cost, observe, penalty}
--     all_allow  whether every enforced limit allows
--     charging   called with a limit before it is charged
--     keep       called with a limit that was charged, its state as stored, and how long that counts (microseconds)
--     decisions  per limit {allowed 0/1, remaining, reset, wait}, times in microseconds
--     outcomes   per limit that counts in the statistics its id, "=" and outcome
--
-- Nothing is charged unless every enforced limit allows; a limit with "penalty" charges what it refuses itself.

local function settle(limits, all_allow, charging, keep)
  local decisions, outcomes = {}, {}
  for i = 1, #limits do
    local limit = limits[i]
    local algorithm, state, wait = limit.algorithm, limit.state, 0
    if limit.cost > 0 and (limit.allowed and all_allow or not limit.allowed and limit.penalty) then
      charging(limit)
      algorithm.charge(state, limit.cost)
      keep(limit, algorithm.write(state))
    end
    if not limit.allowed then
      wait = algorithm.wait(state, limit.cost)
      outcomes[#outcomes + 1] = limit.id .. (limit.observe and '=observed' or '=blocked')
    elseif all_allow then
      outcomes[#outcomes + 1] = limit.id .. '=allowed'
    end
    decisions[i] = {
      limit.allowed and 1 or 0, math.max(0, algorithm.remaining(state)), algorithm.reset(state), wait,
    }
  end
  return decisions, outcomes
end
