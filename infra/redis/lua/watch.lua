-- Notes that a gateway watches a user, and says for how long the user is online.
-- KEYS[1] watchers   KEYS[2] online
-- ARGV[1] gateway   ARGV[2] ms for which it watches
-- Reply: ms for which the user is still online if no session is renewed. 0 if the user is not.
-- It removes gateways whose time is over, so there are no more than live gateways.
local clock, ttl = redis.call('TIME'), tonumber(ARGV[2])
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local time = string.format('%.0f', now)
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, time)
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ttl), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ttl)
local places = redis.call('ZRANGEBYSCORE', KEYS[2], time, '+inf', 'WITHSCORES')
return #places > 0 and tonumber(places[#places]) - now or 0
