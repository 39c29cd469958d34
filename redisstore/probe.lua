-- Tries all that the other scripts do, so that what is missing is found out at the start.
local t = redis.call('TIME')
redis.call('SET', KEYS[1], 'probe', 'PX', 1000)
redis.call('SET', KEYS[1], 'probe', 'KEEPTTL')
redis.call('SETRANGE', KEYS[1], 0, 'probe')
redis.call('PEXPIRE', KEYS[1], 1000)
redis.call('MGET', KEYS[1])
redis.call('GETRANGE', KEYS[1], 0, 1)
redis.call('EXISTS', KEYS[1])
redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
return t[1]
