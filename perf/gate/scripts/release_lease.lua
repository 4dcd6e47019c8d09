-- release_lease.lua: ends a lease without an entry and wakes who waits.
--
-- KEYS  1 entry   2 lease   3 wake list
-- ARGV  1 lease token   2 milliseconds for which the response is known to be unstorable, or 0
-- reply 1 if the lease was still held, else 0

if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
if tonumber(ARGV[2]) > 0 then redis.call('SET', KEYS[1], '\0', 'PX', ARGV[2]) end
redis.call('RPUSH', KEYS[3], '1')
redis.call('PEXPIRE', KEYS[3], 5000)
return 1
