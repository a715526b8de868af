-- Tells that a verifier is there, and answers how many are. KEYS[1] holds their names by the time in
-- milliseconds until which they are taken to be there, ARGV is a name and for how long.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local over = now + ARGV[2]
-- First of all, since a server whose memory is full refuses only the first thing that a script writes.
redis.call('ZADD', KEYS[1], over, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. over, '+inf') -- of before the clock was set back
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
