-- This text comes before every script.
-- The generation of the data is the first 4 bytes of the primary's replication id. It changes when a replica
-- is promoted and when a primary starts again. In both cases this server may lack data of the primary before.
-- The script asks Redis each time, because a client's knowledge may be too old.
local function generation()
  local info = redis.call('INFO', 'replication')
  local _, before = string.find(info, 'master_replid:', 1, true)
  return struct.pack('>I4', tonumber(string.sub(info, before + 1, before + 8), 16))
end

-- Removes a ring or claim of another generation, and allows no new one for 5 s. Until then readers take the
-- timeline. The reason: a writer may still believe in the earlier primary and put entries into the ring
-- there. A ring that is made here too early would lack these entries.
local function renounce(ring, filling, now)
  redis.call('DEL', ring, filling)
  redis.call('RPUSH', filling, now)
  redis.call('PEXPIRE', filling, 5000)
end
