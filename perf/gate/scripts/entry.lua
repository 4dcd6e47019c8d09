-- entry.lua: is the stored response fresh, stale or missing, and who computes it?
--
--   look_up(entry_key, lease_key, invalidations_key, query) -> state, age, blob
--
-- state: "hit"         fresh; serve it
--        "stale"       old, another request refreshes it; serve it
--        "refresh"     old, this request holds the lease: compute, or serve the blob if that fails
--        "miss"        nothing to serve, this request holds the lease
--        "wait"        nothing to serve, another request holds the lease
--        "unstorable"  the last response could not be stored: compute without a lease
-- age:   microseconds since the response was stored
-- blob:  the entry as stored, or "=" where its etag is the one the caller holds already
--
-- An entry starts with ">B d d d c16 I2": format (1), time its computing began, time it was stored, microseconds it
-- took, etag, bytes of tags; then its tags separated by spaces, then what Python sealed. Format 0 marks "unstorable".
-- An entry is void if one of its tags, or "*", was invalidated after its computing began. Where the record of
-- invalidations is lost, everything is void that began before the loss was noticed.

local HEAD_BYTES = 43

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

local function freshness(age, query)
  if age < query.ttl then return 'fresh' end
  if age < query.ttl + query.stale_while_revalidate then return 'stale' end
  if age < query.ttl + query.stale_if_error then return 'spare' end
  return 'dead'
end

local function body(entry_key, etag, query)
  if etag == query.known_etag then return '=' end
  return redis.call('GET', entry_key)
end

local function look_up(entry_key, lease_key, invalidations_key, query)
  local head = redis.call('GETRANGE', entry_key, 0, 511)
  if head == '\0' then return 'unstorable', 0, '' end
  local age, state, etag = 0, 'dead', nil
  if #head >= HEAD_BYTES and string.byte(head) == 1 then
    local _, began, created, _, stored_etag, tag_bytes = struct.unpack('>Bdddc16I2', head)
    local tags = {unpack(query.tags)}
    for tag in string.gmatch(string.sub(head, HEAD_BYTES + 1, HEAD_BYTES + tag_bytes), '%S+') do
      tags[#tags + 1] = tag
    end
    if not is_void(invalidations_key, began, tags) then
      age, etag = math.max(0, NOW - created), stored_etag
      state = freshness(age, query)
    end
  end
  if state == 'fresh' then return 'hit', age, body(entry_key, etag, query) end
  if take_lease(lease_key, invalidations_key, query) then
    if state == 'dead' then return 'miss', 0, '' end
    return 'refresh', age, body(entry_key, etag, query)
  end
  if state == 'stale' then return 'stale', age, body(entry_key, etag, query) end
  return 'wait', 0, ''
end
