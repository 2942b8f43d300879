-- Claims the rebuilding of a ring. Call it before the timeline is read: entries that are appended from now
-- on wait in `filling`, so none can be missed.
-- KEYS[1] ring   KEYS[2] filling
-- ARGV[1] token of the caller   ARGV[2] ms that the claim holds
-- Reply: 1 claimed. 0 there is a ring, another caller rebuilds it, or it must not be rebuilt yet.
local first, claim = redis.call('LINDEX', KEYS[1], 0), redis.call('LINDEX', KEYS[2], 0)
local now = generation()
if first and string.sub(first, 9, 12) ~= now or claim and string.sub(claim, 1, 4) ~= now then
  renounce(KEYS[1], KEYS[2], now)
  return 0
end
if first or claim then
  return 0
end
redis.call('RPUSH', KEYS[2], now .. ARGV[1])
redis.call('PEXPIRE', KEYS[2], tonumber(ARGV[2]))
return 1
