-- Raises a counter that is behind. A lost counter, or one of another generation, stays lost.
-- KEYS[1] counter
-- ARGV[1] last seq
-- Reply: 1 the counter is not behind any more. 0 it is lost.
if redis.call('HGET', KEYS[1], 'g') ~= generation() then
  return 0
end
if tonumber(redis.call('HGET', KEYS[1], 'q')) < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'q', ARGV[1])
end
return 1
