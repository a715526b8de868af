-- The least that a shared rate limit can do: one number for each key, when its bucket is full again.
-- ARGV: the microseconds in which one request flows in, and those in which all do.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + ARGV[1]
if full - now > tonumber(ARGV[2]) then
	return 0
end
redis.call('SET', KEYS[1], string.format('%d', full), 'PX', math.ceil((full - now) / 1000))
return 1
