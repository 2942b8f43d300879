-- Sets a counter from the store. Both values only ever rise, whatever generation the counter is of.
-- KEYS[1] counter
-- ARGV[1] last seq   ARGV[2] version of the member list   ARGV[3] idle time to live, s
-- Reply: the last seq as it is now.
local q = math.max(tonumber(ARGV[1]), tonumber(redis.call('HGET', KEYS[1], 'q') or 0))
local v = math.max(tonumber(ARGV[2]), tonumber(redis.call('HGET', KEYS[1], 'v') or 0))
local counter = {'q', string.format('%.0f', q), 'v', string.format('%.0f', v), 'g', generation()}
redis.call('HSET', KEYS[1], unpack(counter))
redis.call('EXPIRE', KEYS[1], ARGV[3])
return q
