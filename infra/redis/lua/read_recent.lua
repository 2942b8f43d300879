-- Reads the user's newest conversations.
-- KEYS[1] recent
-- ARGV[1] idle time to live, s
-- Reply: members and scores, the two marks among them. False if there is no set of this generation.
if not redis.call('ZSCORE', KEYS[1], '>' .. generation()) then
  return false
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
