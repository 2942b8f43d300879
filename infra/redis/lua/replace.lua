-- Gives entries of a ring new content: a message was edited or recalled.
-- KEYS[1] ring   KEYS[2] filling
-- ARGV[1] the message as it is now   ARGV[2…] seqs of the entries that carry it
-- Reply: how many entries were replaced.
-- An entry that carries the message within another type keeps its type. Content with a higher rev stays, and so
-- does a recalled message: a writer may be late. A ring that is being rebuilt may have been read from the
-- timeline with the content from before, so its claim ends, and a later reader rebuilds it. A ring of another
-- generation is removed.
local now, new = generation(), ARGV[1]
local claim = redis.call('LINDEX', KEYS[2], 0)
if claim and #claim > 4 then
  redis.call('DEL', KEYS[2])
end
local first = redis.call('LINDEX', KEYS[1], 0)
if not first then
  return 0
end
if string.sub(first, 9, 12) ~= now then
  renounce(KEYS[1], KEYS[2], now)
  return 0
end

local function rev(message)
  return tonumber(string.match(message, '^{"rev":(%d+),') or '0')
end

local function recalled(message)
  return string.find(message, '^{"rev":%d+,"recalled":') ~= nil
end

local base, replaced = struct.unpack('>I8', first), 0
local length = redis.call('LLEN', KEYS[1])
for i = 2, #ARGV do
  local index = tonumber(ARGV[i]) - base
  if index >= 0 and index < length then
    local element = redis.call('LINDEX', KEYS[1], index)
    local carried = string.sub(element, 13)
    local around = string.match(carried, '^{"type":"%a+","%a+":') or ''
    local old = string.sub(carried, #around + 1)
    if #carried > 0 and not recalled(old) and (recalled(new) or rev(old) < rev(new)) then
      local tail = #around > 0 and '}' or ''
      redis.call('LSET', KEYS[1], index, string.sub(element, 1, 12) .. around .. new .. tail)
      replaced = replaced + 1
    end
  end
end
return replaced
