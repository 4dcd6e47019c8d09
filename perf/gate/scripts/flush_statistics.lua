-- flush_statistics.lua: counts what a process has noted since its last exchange.
--
-- KEYS  1 statistics, prefix   2 ranking of blocked clients, prefix
-- ARGV  pairs of field and number
-- reply 1

local STATISTICS, RANKING = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local NOW = time[1] * 1000000 + time[2]

--@include statistics.lua

record(1)
return 1
