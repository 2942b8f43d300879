-- Puts consecutive entries at the end of a user's ring, if the user has one, and takes note of them in the user's
-- newest conversations, if somebody reads these. Says where the user is online.
-- KEYS[1] ring   KEYS[2] filling   KEYS[3] online   KEYS[4] recent
-- ARGV[1] capacity   ARGV[2] idle time to live, s   ARGV[3] the most members of `recent`
-- ARGV[4] seq of the first entry   ARGV[5…] messages, then the conversation of each (see `recent.lua`)
-- Reply: the gateways on which the user has devices now, by the clock of Redis, each once.
-- Entries that the ring has already are ignored. A ring never gets a gap: a ring that would get one is
-- removed, and so is a ring of another generation. A later reader rebuilds it. While a reader rebuilds it,
-- entries wait in `filling`.
-- A device that comes online after this script is not in the reply, and misses nothing: its gateway writes
-- the presence first and reads the head of the inbox then. The timeline has these entries already, so that
-- head counts them, and the device pulls them.
local clock, gateways, seen = redis.call('TIME'), {}, {}
local time = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
for _, place in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], time, '+inf')) do
  local gateway = string.match(place, '^[^/]*')
  if not seen[gateway] then
    seen[gateway] = true
    gateways[#gateways + 1] = gateway
  end
end
local capacity, ttl, seq = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
local target, known, now = KEYS[1], 0, generation()
local count = (#ARGV - 4) / 2
local upto = redis.call('ZSCORE', KEYS[4], '>' .. now)
if upto then
  if note_recent(KEYS[4], now, tonumber(upto), seq, 5 + count, count) > 0 then
    trim_recent(KEYS[4], now, tonumber(ARGV[3]))
  end
  redis.call('EXPIRE', KEYS[4], ttl)
end
local last = redis.call('LINDEX', KEYS[1], -1)
if last and string.sub(last, 9, 12) ~= now then
  renounce(KEYS[1], KEYS[2], now)
  return gateways
end
if last then
  known = struct.unpack('>I8', last)
  if seq > known + 1 then
    redis.call('DEL', KEYS[1])
    return gateways
  end
elseif redis.call('EXISTS', KEYS[2]) == 1 then
  target = KEYS[2]
else
  return gateways
end
for i = 5, 4 + count do
  if seq > known then
    redis.call('RPUSH', target, struct.pack('>I8', seq) .. now .. ARGV[i])
  end
  seq = seq + 1
end
if target == KEYS[1] then
  redis.call('LTRIM', KEYS[1], -capacity, -1)
  redis.call('EXPIRE', KEYS[1], ttl)
end
return gateways
