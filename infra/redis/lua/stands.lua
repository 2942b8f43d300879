-- Whether the entries that a gateway wrote are still there. Call it more often than they expire.
-- KEYS[1] mark of the gateway
-- ARGV[1] time to live, ms
-- Reply: 1 they are. 0 some may be gone: Redis was emptied, failed over, or was not asked for so long. Then
-- the script writes the mark again, so the answer 0 comes once.
local now = generation()
local mark = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], now, 'PX', ARGV[1])
if mark == now then
  return 1
end
return 0
