-- Stands before every script.
-- The generation of the data: the first 4 bytes of the primary's replication id. It changes when a
-- replica is promoted and when a primary starts again, that is, whenever what is here may lack what
-- the primary before it had. Redis is asked each time: nothing that a client knows is as new as that.
local function generation()
  local info = redis.call('INFO', 'replication')
  local _, before = string.find(info, 'master_replid:', 1, true)
  return struct.pack('>I4', tonumber(string.sub(info, before + 1, before + 8), 16))
end

-- Of a ring or claim of another generation nothing is left, and there is to be none for 5 s. Until then
-- readers take the timeline: a writer that still takes the primary of before for the primary would put
-- entries into the ring there, and one made here by now would lack them.
local function renounce(ring, filling, now)
  redis.call('DEL', ring, filling)
  redis.call('RPUSH', filling, now)
  redis.call('PEXPIRE', filling, 5000)
end
