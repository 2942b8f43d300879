-- Claims the rebuilding of a ring. Must be called before the timeline is read: what is appended from
-- now on waits in `filling`, so nothing can fall between.
-- KEYS[1] ring   KEYS[2] filling
-- ARGV[1] token of the caller   ARGV[2] ms that the claim holds
-- Reply: 1 claimed, 0 there is a ring, or another one is rebuilding it.
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then
  return 0
end
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], tonumber(ARGV[2]))
return 1
