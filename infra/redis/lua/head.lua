-- The last seq handed out in a conversation.
-- KEYS[1] counter
-- Reply: the seq. 0 if there is no counter, or only one of another generation.
local counter = redis.call('HMGET', KEYS[1], 'q', 'g')
if counter[2] ~= generation() then
  return 0
end
return tonumber(counter[1])
