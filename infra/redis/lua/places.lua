-- Where a user's devices are now, by the clock of Redis.
-- KEYS[1] online
-- Reply: gateway/device/session of each.
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
return redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf')
