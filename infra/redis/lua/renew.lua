-- Writes that a device is on a gateway, from now for the time to live, by the clock of Redis.
-- KEYS[1] online
-- ARGV[1] gateway/device   ARGV[2] time to live, ms
-- Reply: 1. It removes devices whose time is over.
local clock, ttl = redis.call('TIME'), tonumber(ARGV[2])
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ttl), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], ttl)
return 1
