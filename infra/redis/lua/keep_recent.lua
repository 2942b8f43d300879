-- Adds to the user's newest conversations what a reader saw in the timeline, or makes the set of it.
-- KEYS[1] recent
-- ARGV[1] the most members   ARGV[2] idle time to live, s
-- ARGV[3] the inbox seq behind which the reader saw everything   ARGV[4] up to which it did
-- ARGV[5…] conversation and score of each that has a message between the two
-- Two parts of a timeline that touch or overlap are joined, and a conversation keeps its higher score. If they
-- do not, the newer part stays alone. So a reader that is late does no harm, and needs no claim.
-- Reply: 1
local recent, now = KEYS[1], generation()
local since, upto = tonumber(ARGV[3]), tonumber(ARGV[4])
local known_since = tonumber(redis.call('ZSCORE', recent, '<' .. now) or nil)
local known_upto = tonumber(redis.call('ZSCORE', recent, '>' .. now) or nil)
if known_upto and known_since and since <= known_upto and known_since <= upto then
  since, upto = math.min(since, known_since), math.max(upto, known_upto)
elseif known_upto and known_upto > upto then
  return 1
else
  redis.call('DEL', recent)
end
for i = 5, #ARGV, 2 do
  local known = redis.call('ZSCORE', recent, ARGV[i])
  if not known or tonumber(known) < tonumber(ARGV[i + 1]) then
    redis.call('ZADD', recent, ARGV[i + 1], ARGV[i])
  end
end
redis.call('ZADD', recent, string.format('%.0f', since), '<' .. now)
redis.call('ZADD', recent, string.format('%.0f', upto), '>' .. now)
trim_recent(recent, now, tonumber(ARGV[1]))
redis.call('EXPIRE', recent, ARGV[2])
return 1
