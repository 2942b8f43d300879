-- Hands out consecutive seqs of a conversation.
-- KEYS[1] counter
-- ARGV[1] how many   ARGV[2] idle time to live, s
-- Reply: {first seq, version of the member list}. False if there is no counter, or only one of another
-- generation.
if redis.call('HGET', KEYS[1], 'g') ~= generation() then
  return false
end
local count = tonumber(ARGV[1])
local last = redis.call('HINCRBY', KEYS[1], 'q', count)
redis.call('EXPIRE', KEYS[1], ARGV[2])
return {last - count + 1, tonumber(redis.call('HGET', KEYS[1], 'v'))}
