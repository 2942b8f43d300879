-- Writes that a session is on a gateway, from now for the time to live, by the clock of Redis; or that it left.
-- KEYS[1] online
-- ARGV[1] gateway/device/session   ARGV[2] time to live, ms; 0 for a session that left
-- Reply: gateway/device/session of each session of the user that is online. It removes those whose time is over.
local clock, ttl = redis.call('TIME'), tonumber(ARGV[2])
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if ttl == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + ttl), ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ttl)
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, string.format('%.0f', now))
return redis.call('ZRANGEBYSCORE', KEYS[1], 0, '+inf')
