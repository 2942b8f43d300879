-- The last seq handed out in a conversation.
-- KEYS[1] counter
-- Reply: the seq, 0 when the counter is not known here, or only from another generation.
local counter = redis.call('HMGET', KEYS[1], 'q', 'g')
if counter[2] ~= generation() then
  return 0
end
return tonumber(counter[1])
