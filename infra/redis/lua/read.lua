-- Reads the entries after a cursor from a user's ring.
-- KEYS[1] ring   KEYS[2] filling
-- ARGV[1] cursor   ARGV[2] limit   ARGV[3] idle time to live, s   ARGV[4] the most bytes
-- Reply: false if there is no ring, else {seq of its first entry, head, elements…}.
-- The reply ends before the element that exceeds ARGV[4], but holds one. Its length is no sign of the end.
-- The elements are those of the `limit` numbers behind the cursor that the ring holds. They begin at the
-- cursor, or at the ring's first entry if the cursor lies before it. A first element without a message is no
-- entry: it marks the seq at which an empty ring stands. A ring of another generation is removed, because it
-- may lack its newest entries. All elements of a ring have one generation, so one look is enough.
local first = redis.call('LINDEX', KEYS[1], 0)
if not first then
  return false
end
local now = generation()
if string.sub(first, 9, 12) ~= now then
  renounce(KEYS[1], KEYS[2], now)
  return false
end
local cursor, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local base = struct.unpack('>I8', first)
local head = base + redis.call('LLEN', KEYS[1]) - 1
local oldest = base
if #first == 12 then
  oldest = base + 1
end
redis.call('EXPIRE', KEYS[1], tonumber(ARGV[3]))
local from, to = math.max(cursor + 1, oldest), math.min(cursor + limit, head)
local reply = {oldest, head}
if from <= to then
  local bytes = 0
  for _, element in ipairs(redis.call('LRANGE', KEYS[1], from - base, to - base)) do
    bytes = bytes + #element
    if bytes > tonumber(ARGV[4]) and #reply > 2 then
      break
    end
    reply[#reply + 1] = element
  end
end
return reply
