-- This text comes before every script, behind `generation.lua`. It is about the user's newest conversations.
-- They are a sorted set. A member is a conversation. Its score is the inbox seq of its newest message, or a
-- higher one that is still in the timeline.
-- Two members are marks, and carry the generation. `>` has the highest score: up to this inbox seq the set
-- knows the timeline. `<` has the lowest score: every conversation with a newer message is in the set.
-- A set of another generation has other marks, so nobody finds them.

-- Takes in `count` consecutive entries from `first` on. ARGV[at…] are their conversations: an empty text for an
-- entry that is no message. Entries that the set knows are ignored. A set that would get a gap is removed.
-- Returns how many members more the set has.
local function note_recent(recent, now, upto, first, at, count)
  if first > upto + 1 then
    redis.call('DEL', recent)
    return 0
  end
  local more = 0
  for i = math.max(0, upto + 1 - first), count - 1 do
    local seq = string.format('%.0f', first + i)
    if ARGV[at + i] == '' then
      redis.call('ZADD', recent, seq, '>' .. now)
    else
      more = more + redis.call('ZADD', recent, seq, ARGV[at + i], seq, '>' .. now)
    end
  end
  return more
end

-- Removes the lowest members beyond `most`. The mark `<` rises to the highest score that went.
local function trim_recent(recent, now, most)
  local beyond = redis.call('ZCARD', recent) - 2 - most
  if beyond > 0 then
    local score = redis.call('ZRANGE', recent, beyond, beyond, 'WITHSCORES')[2]
    redis.call('ZREMRANGEBYRANK', recent, 1, beyond)
    redis.call('ZADD', recent, score, '<' .. now)
  end
end
