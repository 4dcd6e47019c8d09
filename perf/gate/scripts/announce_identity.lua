-- announce_identity.lua: makes tokens of an account outdated that carry a lower version.
--
-- KEYS  1 identity version
-- ARGV  1 version   2 seconds to keep it: the longest life of a token
-- reply the version that stands
--
-- Versions only rise: of two commits that are announced in the wrong order, the later one stands.

local known = redis.call('GET', KEYS[1])
if known and tonumber(known) > tonumber(ARGV[1]) then return known end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return ARGV[1]
