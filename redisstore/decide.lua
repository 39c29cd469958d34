-- Decides operations on keys, at one instant of the server's own clock, and stores what comes of them. It decides and stores only:
-- it answers with what each key was before, and Go works out remaining, waits and times from that, by the strategy itself.
--
-- KEYS     records, set after set: of each first those of words, then those of runs; none twice among the words of a set
-- ARGV[1]  the instant; empty: the server's
-- ARGV[2]  'a': each set is a call, or alike calls, that take all of their keys or none; 'm': each key for itself
-- ARGV[3]  for each set how many of its keys are of words, and how many of runs
-- ARGV[4]  for each key the number of its steps, and for each step which program and how often; empty: each key, program 1, once.
--          In a set of calls each key has one step, and the same number of times, which is how many calls there are
-- ARGV[5…] programs, packed as in plan.go: kind, mode, head, then numbers
--
-- It answers {instant, its millionths, granted, states}: the instant in seconds as TIME says it, or as it was given, with no
-- millionths then; granted has for each set of calls how many of them, the first ones, were granted, or 65535 if only Go can decide
-- them; states has for each key a sign
-- ('+', or '-' for a key that only Go can decide, of which nothing was stored) and its record as it was, of runs a summary.
local call, unpack_, pack, sub, floor = redis.call, struct.unpack, struct.pack, string.sub, math.floor
local t = ARGV[1] == '' and call('TIME') or {ARGV[1], ''}
local now = t[2] == '' and tonumber(ARGV[1]) or t[1] * 1000000 + t[2]
if now < 0 or now > 3377699720527871 then
  return redis.error_reply('STINTCLOCK')
end
local all, sets, steps = ARGV[2] == 'a', ARGV[3], ARGV[4]
local EXACT = 4503599627370496 -- 2^52: sums of two numbers below it are exact
local programs, out, verdicts, writes, n, at, first, from = {}, {}, {}, {}, 0, 1, 0, 1
for i = 5, #ARGV do
  programs[i - 4] = {unpack_('>I1I1c9I7I7I7I7I7I7I7I7', ARGV[i])}
end

-- A key for itself is written at once, those of a call that takes all or none when all are decided.
local write = call
if all then
  write = function(...)
    writes[#writes + 1] = {...}
    return true
  end
end

local absent = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local absentRuns = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local absentWide = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'

-- How long a record is kept, in milliseconds, and until when that is at least, in 2^20 ticks: half as long again as it has to be,
-- so that most writes need not touch the expiry.
local function kept(need)
  local ms = math.ceil((need - now) * 0.0015) + 1000
  if ARGV[1] ~= '' then ms = ms + 3600000 end -- a clock that is not the server's may stand still
  return string.format('%.0f', ms), math.min(floor((now + ms * 1000) / 1048576), 4294967295)
end

local behind = false -- a set was left to Go, and so are those behind it
while from <= #sets do
  local words, rest
  words, rest, from = unpack_('>I2I2', sets, from)
  local begin, said, least, only, byGo = at, n, 0, nil, behind
  repeat
    local records = words > 0 and call('MGET', unpack(KEYS, first + 1, first + words))
    local asked, done = 1, 0
    at, n, least = begin, said, 65536
    for i = 1, words do
      local runs, pi, times = 1, 1, 1
      local after = at
      if steps ~= '' then
        runs, pi, times, at = unpack_('>I1I1I2', steps, at)
        after = at + (runs - 1) * 3
      end
      asked = times
      times = only or times
      local p = programs[pi]
      local kind, head = p[1], p[3]
      local wide = kind >= 5
      local key, record = KEYS[first + i], records[i]
      local E, T, f, b, c = 0, 0, 0, 0, 0
      local fits, changed = true, false
      if record then
        if sub(record, 1, 9) ~= head or #record ~= (wide and 37 or 21) then
          fits = false
        else
          local hi, lo
          if wide then
            E, hi, lo, b, c = unpack_('>I4I4I4I8I8', record, 10)
            if b >= EXACT or c >= EXACT then fits = false end
            if kind == 6 then b, c = c, b end -- here b is the start of the window and c what is used
          else
            E, hi, lo = unpack_('>I4I4I4', record, 10)
          end
          f = lo % 2048
          T = hi * 2097152 + (lo - f) / 2048
        end
      end
      done = times
      while fits do
        local mode, min, max = p[2], p[4], p[5]
        local hit = false
        if mode == 2 then times = 1 end -- looks see the same
        if mode == 3 then
          done = 0
          -- It can never be granted, or asks for nothing: Go knows what to say.
        elseif kind <= 2 then
          -- What is missing, in ticks and in parts of 1/P tick.
          local mt, mr, P = T - now, f, p[6]
          if mt < 0 then
            mt, mr = 0, 0
          elseif mr >= P then
            mt, mr = mt + 1, 0
          end
          if mt > 1125899906842624 then fits = false end
          if mode == 4 then
            local q, full, m = p[7], p[8], mt * P + mr
            for j = 1, times do
              local g = floor((full - m) / q)
              if g > max then g = max end
              if g < min or g <= 0 then done = j - 1 break end
              m, hit = m + g * q, true
            end
            if hit then
              mt = floor(m / P)
              mr = m - mt * P
            end
          else
            local ct, cr, lt, lr = p[7], p[8], p[9], p[10]
            for j = 1, times do
              local nt, nr = mt + ct, mr + cr
              if nr >= P then nt, nr = nt + 1, nr - P end
              local fine = mode == 1
              if fine or kind == 2 then
                if not fine then
                  local wait = mt
                  if mr > 0 then wait = mt + 1 end
                  fine = wait <= lt
                end
                if nt >= 1125899906842624 then fits = false end
              else
                fine = nt < lt or nt == lt and nr <= lr
              end
              if not fine then done = j - 1 break end
              mt, mr, hit = nt, nr, true
            end
          end
          if hit and mode ~= 2 then
            T, f, changed = now + mt, mr, true
          end
        else
          -- What is used, in which window.
          local ticks, used, e, current, last, faded = p[6], 0, 0, 0, 0, 0
          local dead = T < now or T == now and f == 0
          if kind == 3 then
            e = (floor(now / ticks) + 1) * ticks
            local d = T - e
            if d >= 0 then
              if d >= ticks then
                e = floor(T / ticks) * ticks
                d = T - e
              end
              if d > 1099511627776 then fits = false end
              used = d * 2048 + f
            end
          elseif kind == 4 then
            e = floor(now / ticks) * ticks
            local window, ahead = ticks * 2048, (T - e - 2 * ticks) * 2048 + f
            if not dead and ahead >= -window then
              local earlier = ahead < 0
              if earlier then
                ahead = ahead + window
              elseif ahead >= window then
                e = floor(T / ticks) * ticks - 2 * ticks
                ahead = (T - e - 2 * ticks) * 2048 + f
              end
              current = floor(ahead / p[9])
              last = ahead - current * p[9]
              if earlier then last, current = current, 0 end
              local left = e + ticks - now
              if left >= ticks then
                faded = last
              else
                faded = last * left
                if faded >= EXACT then fits = false end
                faded = floor(faded / ticks)
              end
            end
            used = current + faded
          elseif kind == 5 then
            if dead or c <= 0 then
              b, used = now, 0
            else
              used = c
              if now - b >= ticks then
                local periods = floor((now - b) / ticks)
                local used2 = used - periods * p[9]
                if used2 <= 0 then
                  e, used = now, 0
                else
                  e, used = b + periods * ticks, used2
                end
              else
                e = b
              end
            end
            if used == 0 then e = now end
          else
            if dead or c <= 0 then
              -- A new window: one of the three around the caller's clock, chosen by this one.
              if now >= p[6] and now < p[9] then e, b = p[9], p[6]
              elseif now >= p[9] and now < p[10] then e, b = p[10], p[9]
              elseif now >= p[10] and now < p[11] then e, b = p[11], p[10]
              else fits = false end
            else
              e, used = T, c
            end
          end
          local cap, most, before = p[7], p[8], used
          for j = 1, times do
            if mode == 1 then
              used, hit = used + max, true
              if used > most then fits = false end
            else
              local g = cap - used
              if g > max then g = max end
              if g < min or g <= 0 then done = j - 1 break end
              used, hit = used + g, true
            end
          end
          if hit and mode ~= 2 then
            changed = true
            if kind == 3 then
              f = used % 2048
              T = e + (used - f) / 2048
            elseif kind == 4 then
              local x = (current + used - before) * p[9] + last
              f = x % 2048
              T = e + 2 * ticks + (x - f) / 2048
            elseif kind == 5 then
              T, f, b, c = e + (floor((used - 1) / p[9]) + 1) * ticks, 0, e, used
            else
              T, f, c = e, 0, used
            end
          end
        end
        runs = runs - 1
        if runs == 0 then break end
        pi, times, at = unpack_('>I1I2', steps, at)
        p = programs[pi]
      end
      at = after
      if fits and changed then
        local need = T
        if f > 0 then need = T + 1 end
        local ms
        if not record or E * 1048576 < need then ms, E = kept(need) end
        local f2 = (T % 2097152) * 2048 + f
        local value
        if wide then
          if kind == 6 then b, c = c, b end
          value = pack('>c9I4I4I4I8I8', head, E, floor(T / 2097152), f2, b, c)
        else
          value = pack('>c9I4I4I4', head, E, floor(T / 2097152), f2)
        end
        if not ms then
          write('SET', key, value, 'KEEPTTL')
        elseif record then
          write('SET', key, value, 'PX', ms)
        elseif all then
          fits = call('EXISTS', key) == 0
          write('SET', key, value, 'PX', ms)
        elseif not write('SET', key, value, 'PX', ms, 'NX') then
          fits = false -- there is something else under the key
        end
      end
      if not fits then
        byGo = true
        out[n + 1], out[n + 2] = '-', wide and absentWide or absent
      else
        out[n + 1], out[n + 2] = '+', record or wide and absentWide or absent
      end
      if done < least then least = done end
      n = n + 2
    end

    -- Runs are read in parts where there may be many: the head, and the few cells that matter.
    for i = words + 1, words + rest do
      local runs, pi, times = 1, 1, 1
      if steps ~= '' then runs, pi, times, at = unpack_('>I1I1I2', steps, at) end
      asked = times
      times = only or times
      done = times
      local p, key = programs[pi], KEYS[first + i]
      local mode, head, min, max, ticks, cap, grain, most, big = p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10] == 1
      local record, fits
      if big then
        record = redis.pcall('GETRANGE', key, 0, 34)
        if record == '' then record = false end
      else
        record = redis.pcall('GET', key)
      end
      local E, T, B, H, N, room = 0, 0, 0, 0, 0, 0
      if not record then
        fits = true
      elseif type(record) == 'string' and sub(record, 1, 9) == head and #record >= 35 then
        local hi, lo
        E, hi, lo, B, H, N, room = unpack_('>I4I4I4I8I2I2I2', record, 10)
        T = hi * 2097152 + (lo - lo % 2048) / 2048
        fits = B < EXACT and N <= room and H < room
      end
      local function cell(k)
        k = 35 + (H + k) % room * 16
        if big then return unpack_('>I8I8', call('GETRANGE', key, k, k + 15)) end
        return unpack_('>I8I8', record, k + 1)
      end
      if not fits then
        byGo = true
        out[n + 1], out[n + 2] = '-', absentRuns
      else
        local newest, sum, before = T - ticks, 0, 0
        if N == 0 or T <= now then
          B, H, N = 0, 0, 0
        else
          local gone = now - ticks
          local oldest
          oldest, before = cell(0)
          if N > 1 and oldest <= gone then
            local low, high = 1, N - 1
            if high > 1 and cell(1) > gone then high = 1 end
            while low < high do
              local middle = floor((low + high) / 2)
              if cell(middle) > gone then high = middle else low = middle + 1 end
            end
            H, N = (H + low) % room, N - low
            oldest, before = cell(0)
          end
          sum = B - before
        end
        if mode == 2 then times = 1 end
        local was, wasNewest, wait, hit = sum, newest, 0, 0
        for j = 1, times do
          if mode == 3 then done = 0 break end
          if mode == 1 then
            sum, hit = sum + max, hit + max
          else
            local g = cap - sum
            if g > max then g = max end
            if g < min or g <= 0 then done = j - 1 break end
            sum, hit = sum + g, hit + g
          end
        end
        if mode == 2 then sum, hit = was, 0 end
        local late, place, grown = false, false, false
        if hit > 0 then
          if N > 0 and (now <= newest or grain > 1 and floor(now / grain) == floor(newest / grain)) then
            late = newest < now
          elseif N > 0 and N >= most - 1 then
            late = true
          else
            grown = N > 0 and N == room
            place = N
            N, newest = N + 1, now
          end
          if late then newest = now end -- the newest run's units and these count until then together
          B = B + hit
          if B >= EXACT then fits = false end
        end
        local excess = sum - (cap - min)
        if (done < times or only) and mode ~= 3 and excess > 0 then
          -- The run whose leaving makes room.
          local low, high = 0, N - 1
          if place and sum - hit < excess then low = high end
          while low < high do
            local middle = floor((low + high) / 2)
            local reached
            if middle + 1 == place then
              reached = was
            else
              local _, units = cell(middle + 1)
              reached = units - before
            end
            if reached >= excess then high = middle else low = middle + 1 end
          end
          wait = low == N - 1 and newest or cell(low)
        end
        if hit > 0 and fits then
          local need = newest + ticks
          local ms
          if not record or E * 1048576 < need then ms, E = kept(need) end
          local function header() -- of the record as it will be
            return pack('>I4I4I4I8I2I2I2', E, floor(need / 2097152), need % 2097152 * 2048, B, H, N, room)
          end
          if not record then
            room = most < 4 and most or 4
            local value = head .. header() .. pack('>I8I8', now, 0) .. string.rep('\0', (room - 1) * 16)
            if all then
              fits = call('EXISTS', key) == 0
              write('SET', key, value, 'PX', ms)
            elseif not write('SET', key, value, 'PX', ms, 'NX') then
              fits = false
            end
          elseif grown then
            local whole = big and call('GET', key) or record
            local cells = sub(whole, 36 + H * 16, 35 + room * 16) .. sub(whole, 36, 35 + H * 16)
            H = 0
            room = room * 2 < most and room * 2 or most
            local value = head .. header() .. cells .. pack('>I8I8', now, B - hit) .. string.rep('\0', (room - N) * 16)
            if ms then write('SET', key, value, 'PX', ms) else write('SET', key, value, 'KEEPTTL') end
          else
            if place then
              write('SETRANGE', key, 35 + (H + place) % room * 16, pack('>I8I8', now, B - hit))
            elseif late then
              write('SETRANGE', key, 35 + (H + N - 1) % room * 16, pack('>I8', now))
            end
            write('SETRANGE', key, 9, header())
            if ms then write('PEXPIRE', key, ms) end
          end
        end
        if fits then
          out[n + 1], out[n + 2] = '+', pack('>I8I8I8', was > 0 and wasNewest + ticks or 0, was, wait)
        else
          byGo = true
          out[n + 1], out[n + 2] = '-', absentRuns
        end
      end
      if done < least then least = done end
      n = n + 2
    end
    if not all then break end
    -- Alike calls are granted one after the other until one of their keys refuses. If some keys would have given more, all are done
    -- again for as many calls as were granted, or for one that none grants.
    local again = least < asked and not only and not byGo
    if again then
      only = least > 0 and least or 1
    elseif not byGo then
      for i = 1, least > 0 and #writes or 0 do call(unpack(writes[i])) end
    end
    if #writes > 0 then writes = {} end
  until not again
  if all then verdicts[#verdicts + 1] = pack('>I2', byGo and 65535 or least) end
  behind = byGo
  first = first + words + rest
end
return {t[1], t[2], table.concat(verdicts), table.concat(out)}
