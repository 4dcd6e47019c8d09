-- clients.lua: bounds the counters that clients nobody vouches for (addresses, keys) can make in Redis.
--
--   local is_crowded, tally = clients()
--   is_crowded(tally_key, rule, most)   may no further client have a counter of its own?
--   tally(limit)                        before a charge: counts its client as one that is active now
--
-- Time is cut into spans as long as a counter can live. A client is counted once in each span in which it is charged,
-- so those with a living counter are at most the sum over this span and the one before. New clients get counters of
-- their own while that sum is below `most`; then they share a few, chosen by their keyed hash, and clients that are
-- known already keep theirs. What is shared only ever refuses more, never less.
--
-- Stored: ">dI4I4" beginning of the span (microseconds), clients counted in it, clients counted in the span before.

local function clients()
  local function span_of(rule)
    return rule.period * math.max(1, math.ceil(2 * rule.capacity / rule.limit))
  end

  local function read_tally(key, span)
    local raw = redis.call('GET', key)
    if not raw then return NOW, 0, 0 end
    local begun, current, before = struct.unpack('>dI4I4', raw)
    if NOW < begun + span then return begun, current, before end
    if NOW < begun + 2 * span then return begun + span, 0, current end
    return NOW, 0, 0
  end

  local function is_crowded(key, rule, most)
    local _, current, before = read_tally(key, span_of(rule))
    return current + before >= most
  end

  local function tally(limit)
    local span, last = span_of(limit.state.rule), limit.algorithm.last(limit.state)
    local begun, current, before = read_tally(limit.tally, span)
    if last and last >= begun then return end
    redis.call('SET', limit.tally, struct.pack('>dI4I4', begun, current + 1, before), 'PX', math.ceil(span / 500))
  end

  return is_crowded, tally
end
