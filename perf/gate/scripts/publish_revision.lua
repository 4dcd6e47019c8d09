-- publish_revision.lua: makes a revision the one every request is decided by.
--
-- KEYS  1 published revision
-- ARGV  1 number of the newest revision in the database
--       2 the published number seen before the database was read, or "" for a publication after a commit
-- reply the published number
--
-- After a commit a number only ever rises: a slower process cannot undo a newer publication. A process that saw a
-- number in Redis *before* it found a lower one in the database knows that the database was set back, and may lower.

local published = redis.call('GET', KEYS[1])
if not published or tonumber(ARGV[1]) > tonumber(published) or published == ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[1])
  return ARGV[1]
end
return published
