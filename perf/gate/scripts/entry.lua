-- entry.lua: is the stored response fresh, stale or missing, and who computes it?
--
--   look_up(entry_key, lease_key, invalidations_key, query) -> state, age, blob, lifetime
--   query: ttl, stale_while_revalidate, stale_if_error, negative_ttl (microseconds), honours_origin,
--          early (an exponentially distributed random number), known_etag, token, lease_ms, tags
--
-- state:    "hit"         fresh; serve it
--           "stale"       old, another request refreshes it; serve it
--           "refresh"     old, or soon to be, and this request holds the lease: compute, or serve it if that fails
--           "miss"        nothing to serve, this request holds the lease
--           "wait"        nothing to serve, another request holds the lease
--           "unstorable"  the last response could not be stored: compute without a lease
-- age:      microseconds since the response was stored; for "wait" those until the lease ends, unless it is renewed
-- blob:     the entry as stored, or "=" where its etag is the one the caller holds already; for "wait" the token of
--           who holds the lease
-- lifetime: microseconds for which it is fresh, by the policy as it is now
--
-- An entry starts with ">BBddddc16I2": format (2), kind, time its computing began, time it was stored, microseconds it
-- took, the lifetime the view itself gave it (or -1), etag, bytes of tags; then its tags separated by spaces, then what
-- Python sealed. Format 0 marks "unstorable". Kinds: 0 ordinary, 1 negative (not found, gone), 2 never served stale.
-- An entry is void if one of its tags, or "*", was invalidated after its computing began. Where the record of
-- invalidations is lost, everything is void that began before the loss was noticed.
--
-- Hot entries are refreshed before they expire, by one request, the likelier the longer they take to compute: XFetch
-- (Vattani, Chierichetti, Lowenstein: Optimal probabilistic cache stampede prevention, 2015).

local HEAD_BYTES = 52
local NEGATIVE, NEVER_STALE = 1, 2

local function is_void(invalidations_key, began, tags)
  local scores = redis.call('ZMSCORE', invalidations_key, '*', unpack(tags))
  if not scores[1] then
    redis.call('ZADD', invalidations_key, NOW - 1, '*')
    return true
  end
  for i = 1, #tags + 1 do
    if scores[i] and tonumber(scores[i]) >= began then return true end
  end
  return false
end

-- Whoever takes a lease will store: the record has to be there from now on, or what it stores would be void.
local function take_lease(lease_key, invalidations_key, query)
  local taken = redis.call('SET', lease_key, query.token, 'NX', 'PX', query.lease_ms)
  if taken then redis.call('ZADD', invalidations_key, 'NX', NOW - 1, '*') end
  return taken
end

local function lifetime_of(kind, own, query)
  if kind == NEGATIVE then return query.negative_ttl end
  if query.honours_origin and own >= 0 then return own end
  return query.ttl
end

local function freshness(age, lifetime, kind, query)
  if age < lifetime then return 'fresh' end
  if kind == NEGATIVE or kind == NEVER_STALE and query.honours_origin then return 'dead' end
  if age < lifetime + query.stale_while_revalidate then return 'stale' end
  if age < lifetime + query.stale_if_error then return 'spare' end
  return 'dead'
end

local function body(entry_key, etag, query)
  if etag == query.known_etag then return '=' end
  return redis.call('GET', entry_key)
end

local function look_up(entry_key, lease_key, invalidations_key, query)
  local head = redis.call('GETRANGE', entry_key, 0, 511)
  if head == '\0' then return 'unstorable', 0, '', 0 end
  local age, state, etag, lifetime, soon = 0, 'dead', nil, query.ttl, false
  if #head >= HEAD_BYTES and string.byte(head) == 2 then
    local _, kind, began, created, took, own, stored_etag, tag_bytes = struct.unpack('>BBddddc16I2', head)
    local tags = {unpack(query.tags)}
    for tag in string.gmatch(string.sub(head, HEAD_BYTES + 1, HEAD_BYTES + tag_bytes), '%S+') do
      tags[#tags + 1] = tag
    end
    if not is_void(invalidations_key, began, tags) then
      age, etag = math.max(0, NOW - created), stored_etag
      lifetime = lifetime_of(kind, own, query)
      state = freshness(age, lifetime, kind, query)
      soon = age + took * query.early >= lifetime
    end
  end
  if state == 'fresh' then
    local refreshes = soon and take_lease(lease_key, invalidations_key, query)
    return refreshes and 'refresh' or 'hit', age, body(entry_key, etag, query), lifetime
  end
  if take_lease(lease_key, invalidations_key, query) then
    if state == 'dead' then return 'miss', 0, '', lifetime end
    return 'refresh', age, body(entry_key, etag, query), lifetime
  end
  if state == 'stale' then return 'stale', age, body(entry_key, etag, query), lifetime end
  return 'wait', redis.call('PTTL', lease_key) * 1000, redis.call('GET', lease_key), lifetime
end
