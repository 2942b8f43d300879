-- Whether what a gateway wrote is still there. Asked again and again, more often than it expires.
-- KEYS[1] mark of the gateway
-- ARGV[1] time to live, ms
-- Reply: 1 it is; 0 it is not, or may not all be: Redis was emptied, failed over, or was not asked for
-- so long. Then the mark is set anew: the answer 0 comes once.
local now = generation()
local mark = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], now, 'PX', ARGV[1])
if mark == now then
  return 1
end
return 0
