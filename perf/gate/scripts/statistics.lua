-- statistics.lua: counts events in one hash per minute, kept for 25 hours.
--
--   count(field, by)   adds `by` to `field` of the current minute; what was decided about a request is one field, of
--                      three parts divided by "|": allowed, blocked, or rule (an access rule refused); per limit its
--                      id, "=" and outcome, divided by ","; the cache policy's id, "=" and state
--   record(first)      adds what the caller brought along: ARGV[first] .. the end, as pairs of field and number.
--                      A field that starts with "!" names a blocked client and goes to the hour's ranking. "~" and
--                      a text is a request for the record of traffic, with the seconds for which it is kept; the
--                      newest TRAFFIC_SIZE of five minutes stay.
--
-- STATISTICS is the prefix of the hashes, RANKING that of the sorted sets; both come from gate.lua.

local STATISTICS_SECONDS = 90000
local RANKING_SIZE = 1000
local TRAFFIC_SIZE = 20000

local minute_key = STATISTICS .. math.floor(NOW / 60000000)

local function count(field, by)
  if redis.call('HINCRBY', minute_key, field, by) == by then
    redis.call('EXPIRE', minute_key, STATISTICS_SECONDS)
  end
end

local function record(first)
  for i = first, #ARGV - 1, 2 do
    local field, by = ARGV[i], tonumber(ARGV[i + 1])
    if string.sub(field, 1, 1) == '!' then
      local ranking = RANKING .. math.floor(NOW / 3600000000)
      redis.call('ZINCRBY', ranking, by, string.sub(field, 2))
      redis.call('EXPIRE', ranking, STATISTICS_SECONDS)
      if redis.call('ZCARD', ranking) > 2 * RANKING_SIZE then
        redis.call('ZREMRANGEBYRANK', ranking, 0, -RANKING_SIZE - 1)
      end
    elseif string.sub(field, 1, 1) == '~' then
      local traffic = STATISTICS .. 'traffic:' .. math.floor(NOW / 300000000)
      local size = redis.call('RPUSH', traffic, string.sub(field, 2))
      if size == 1 then redis.call('EXPIRE', traffic, by + 300) end
      if size > TRAFFIC_SIZE then redis.call('LPOP', traffic) end
    else
      count(field, by)
    end
  end
end
