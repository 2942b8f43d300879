-- Claims the rebuilding of a ring. Call it before the timeline is read: entries that are appended from now
-- on wait in `filling`, so none can be missed.
-- KEYS[1] ring   KEYS[2] filling
-- ARGV[1] token of the caller   ARGV[2] ms that the claim holds
-- ARGV[3] the generation that the caller knows, or an empty text
-- Reply: the generation, and 1 if claimed. 0 if there is a ring, another caller rebuilds it, the caller knows
-- another generation, or the ring must not be rebuilt yet.
local first, claim = redis.call('LINDEX', KEYS[1], 0), redis.call('LINDEX', KEYS[2], 0)
local now = generation()
if first and string.sub(first, 9, 12) ~= now or claim and string.sub(claim, 1, 4) ~= now then
  renounce(KEYS[1], KEYS[2], now)
  return {now, 0}
end
if first or claim or ARGV[3] ~= '' and ARGV[3] ~= now then
  return {now, 0}
end
redis.call('RPUSH', KEYS[2], now .. ARGV[1])
redis.call('PEXPIRE', KEYS[2], tonumber(ARGV[2]))
return {now, 1}
