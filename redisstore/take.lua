-- One take from one bucket, or from pacing, that is granted or refused as a whole: what decide.lua does with it, alone and therefore in
-- two thirds of the time. KEYS[1] is the record, ARGV[1] the instant (empty: the server's), ARGV[2] the program.
--
-- It answers with a sign ('+', or '-' if only Go can decide it; nothing was stored then), the record as it was, and the instant:
-- seconds, a space and millionths; or as it was given, and a space.
local call, clock, key = redis.call, ARGV[1], KEYS[1]
local t = clock == '' and call('TIME') or {clock, ''}
local now = clock == '' and t[1] * 1000000 + t[2] or tonumber(clock)
if now < 0 or now > 3377699720527871 then
  return redis.error_reply('STINTCLOCK')
end
local absent = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local record = redis.pcall('GET', key)
local kind, _, head, _, _, P, ct, cr, lt, lr = struct.unpack('>I1I1c9I7I7I7I7I7I7I7', ARGV[2])
local E, T, f = 0, 0, 0
local fits = true
if record then
  fits = type(record) == 'string' and #record == 21
  if fits then
    local was, hi, lo
    was, E, hi, lo = struct.unpack('>c9I4I4I4', record)
    fits = was == head
    f = lo % 2048
    T = hi * 2097152 + (lo - f) / 2048
  end
end
-- What is missing, in ticks and in parts of 1/P tick.
local mt, mr = T - now, f
if mt < 0 then
  mt, mr = 0, 0
elseif mr >= P then
  mt, mr = mt + 1, 0
end
local nt, nr = mt + ct, mr + cr
if nr >= P then nt, nr = nt + 1, nr - P end
local fine
if mt > 1125899906842624 then
  fits = false
elseif kind == 2 then
  fine = (mr > 0 and mt + 1 or mt) <= lt
  if nt >= 1125899906842624 then fits = false end
else
  fine = nt < lt or nt == lt and nr <= lr
end
if fits and fine then
  T = now + nt
  local need = nr > 0 and T + 1 or T
  local hi, ms = math.floor(T / 2097152), nil
  if not record or E * 1048576 < need then
    ms = math.ceil((need - now) * 0.0015) + 1000
    if clock ~= '' then ms = ms + 3600000 end -- a clock that is not the server's may stand still
    E = math.min(math.floor((now + ms * 1000) / 1048576), 4294967295)
    ms = string.format('%.0f', ms)
  end
  local value = struct.pack('>c9I4I4I4', head, E, hi, (T - hi * 2097152) * 2048 + nr)
  if not ms then
    call('SET', key, value, 'KEEPTTL')
  else
    call('SET', key, value, 'PX', ms)
  end
end
return (fits and '+' or '-') .. (fits and record or absent) .. t[1] .. ' ' .. t[2]
