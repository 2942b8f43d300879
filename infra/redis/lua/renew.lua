-- Writes that a session is on a gateway, from now for the time to live, by the clock of Redis; or that it left.
-- KEYS[1] online   KEYS[2] watchers
-- ARGV[1] gateway/device/session   ARGV[2] time to live, ms; 0 for a session that left
-- Reply: {places, turned, watchers}. It removes sessions whose time is over.
-- places: gateway/device/session of each session of the user that is online. turned: 1 if the user came online
-- or went away by this, else 0. watchers: the gateways that watch the user, if turned.
local clock, ttl = redis.call('TIME'), tonumber(ARGV[2])
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local added = 0
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, string.format('%.0f', now))
if ttl == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  added = redis.call('ZADD', KEYS[1], string.format('%.0f', now + ttl), ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ttl)
end
local places = redis.call('ZRANGEBYSCORE', KEYS[1], 0, '+inf')
if #places == 0 or #places == 1 and added == 1 then
  return {places, 1, redis.call('ZRANGEBYSCORE', KEYS[2], string.format('%.0f', now), '+inf')}
end
return {places, 0}
