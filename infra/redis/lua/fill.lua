-- Makes a ring of the entries from the timeline and of those that arrived meanwhile.
-- KEYS[1] ring   KEYS[2] filling
-- ARGV[1] token   ARGV[2] capacity   ARGV[3] idle time to live, s
-- ARGV[4] seq before the first entry   ARGV[5…] messages of consecutive entries
-- Reply: 1 the ring is there. 0 the claim was lost, or belongs to another generation.
local now = generation()
if redis.call('LINDEX', KEYS[2], 0) ~= now .. ARGV[1] then
  return 0
end
local arrived = redis.call('LRANGE', KEYS[2], 1, -1)
redis.call('DEL', KEYS[1], KEYS[2])
local head = tonumber(ARGV[4])
redis.call('RPUSH', KEYS[1], struct.pack('>I8', head) .. now)
for i = 5, #ARGV do
  head = head + 1
  redis.call('RPUSH', KEYS[1], struct.pack('>I8', head) .. now .. ARGV[i])
end
for _, element in ipairs(arrived) do
  local seq = struct.unpack('>I8', element)
  if seq > head + 1 then
    redis.call('DEL', KEYS[1])
    return 0
  end
  if seq == head + 1 then
    redis.call('RPUSH', KEYS[1], element)
    head = seq
  end
end
redis.call('LTRIM', KEYS[1], -tonumber(ARGV[2]), -1)
redis.call('EXPIRE', KEYS[1], tonumber(ARGV[3]))
return 1
