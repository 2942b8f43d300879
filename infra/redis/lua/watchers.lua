-- Which gateways have to do with a user's presence.
-- KEYS[1] watchers   KEYS[2] online
-- Reply: the gateways that watch the user, and those where the user is online, each once.
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
local gateways, seen = redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf'), {}
for _, gateway in ipairs(gateways) do
  seen[gateway] = true
end
for _, place in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], now, '+inf')) do
  local gateway = string.match(place, '^[^/]*')
  if not seen[gateway] then
    seen[gateway] = true
    gateways[#gateways + 1] = gateway
  end
end
return gateways
