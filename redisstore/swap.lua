-- Writes records that are still what they were when they were read. KEYS are the records, and one more that remembers a receipt if
-- there is one. ARGV[1] is 'a' for all or none, 'm' for each by itself; then for each key what it was, what it becomes and for how
-- many milliseconds it is kept. Empty stands for a key that is not there. It answers with '1' or '0' for each key: written or not.
local all, same, out = ARGV[1] == 'a', true, {}
for i = 1, #KEYS do
  local r = redis.pcall('GET', KEYS[i])
  out[i] = (r or '') == ARGV[3 * i - 1] and '1' or '0'
  same = same and out[i] == '1'
end
if all and not same then return string.rep('0', #KEYS) end
for i = 1, #KEYS do
  if out[i] == '1' then
    local becomes = ARGV[3 * i]
    if becomes == '' then
      redis.call('DEL', KEYS[i])
    elseif becomes ~= ARGV[3 * i - 1] then
      redis.call('SET', KEYS[i], becomes, 'PX', ARGV[3 * i + 1])
    end
  end
end
return table.concat(out)
