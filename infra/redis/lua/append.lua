-- Puts consecutive entries at the end of a user's ring, if the user has one.
-- KEYS[1] ring   KEYS[2] filling
-- ARGV[1] capacity   ARGV[2] idle time to live, s   ARGV[3] seq of the first entry   ARGV[4…] messages
-- Reply: 1 the ring has them. 0 there is no ring, or it could not follow and was removed.
-- Entries that the ring has already are ignored. A ring never gets a gap: a ring that would get one is
-- removed, and so is a ring of another generation. A later reader rebuilds it. While a reader rebuilds it,
-- entries wait in `filling`.
local capacity, ttl, seq = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local target, known, now = KEYS[1], 0, generation()
local last = redis.call('LINDEX', KEYS[1], -1)
if last and string.sub(last, 9, 12) ~= now then
  renounce(KEYS[1], KEYS[2], now)
  return 0
end
if last then
  known = struct.unpack('>I8', last)
  if seq > known + 1 then
    redis.call('DEL', KEYS[1])
    return 0
  end
elseif redis.call('EXISTS', KEYS[2]) == 1 then
  target = KEYS[2]
else
  return 0
end
for i = 4, #ARGV do
  if seq > known then
    redis.call('RPUSH', target, struct.pack('>I8', seq) .. now .. ARGV[i])
  end
  seq = seq + 1
end
if target == KEYS[2] then
  return 0
end
redis.call('LTRIM', KEYS[1], -capacity, -1)
redis.call('EXPIRE', KEYS[1], ttl)
return 1
