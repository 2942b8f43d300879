-- Which of these commands the user may run. Runs none of them.
-- KEYS[1] none is touched
-- ARGV[1] JSON: a list of commands, each a list of its words
-- Reply: for each command 1 or 0
local allowed = {}
for _, words in ipairs(cjson.decode(ARGV[1])) do
  allowed[#allowed + 1] = redis.acl_check_cmd(unpack(words)) and 1 or 0
end
return allowed
