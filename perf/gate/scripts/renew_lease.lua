-- renew_lease.lua: a slow but living holder keeps its lease.
--
-- KEYS  1 lease
-- ARGV  1 lease token   2 lease (milliseconds)
-- reply 1 if it was still held, else 0

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
