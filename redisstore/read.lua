-- Reads keys at one instant of the server's own clock. KEYS are the records, ARGV[1] the instant; empty: the server's.
-- It answers {instant, record, …}: false for a key that is not there, 0 for one that is no string.
local now = ARGV[1]
if now == '' then
  local t = redis.call('TIME')
  now = string.format('%.0f', t[1] * 1000000 + t[2])
end
local out = {now}
for i = 1, #KEYS do
  local r = redis.pcall('GET', KEYS[i])
  out[i + 1] = type(r) == 'table' and 0 or r
end
return out
