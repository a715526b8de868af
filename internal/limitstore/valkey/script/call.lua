-- Counts against limits, all of a request at once. Each key is one counter, and all of one call are
-- in one slot. It keeps to what internal/limit does in a process; see there for the reasons.
--
-- ARGV[1] is the time in microseconds since 1970, or empty for the server's own clock. Then there are so
-- many arguments for each counter:
local stride = 13
--  1 kind      S span, T token bucket, Q quota, B budget, C concurrency
--  2 group     of those that are taken together or not at all
--  3 max       how much there is; of T the burst
--  4 per       S: its length in ms; T: ns in which one flows in; C: ms until a request is over;
--              Q, B: the day on which the period ends
--  5 today     Q, B: the day that it is; C: the request's id
--  6 ends      Q, B: ms until the period ends
--  7 calendar  Q, B: what cuts the periods
--  8 amount    all of it or nothing; empty is not to ask
--  9 used      counted whether or not it fits; below zero it is given back
-- 10 epoch     give back only what was taken in this span or period; 0 in any. Of a debt: its number
-- 11 want      as much of it as there is
-- 12, 13 seed  what the asker last knew, for a counter that is missing: S: ms since it began, and the
--              count; T: ns until the bucket is full; Q, B: the day on which it ends, and the count
--
-- One key more, after those of the counters, has it settle debts: what is used of each counter was used while nobody
-- could be asked. An asker who got no answer says the same again, and so that it is not counted
-- twice, that key holds the number of the last debt of this asker that was settled for each counter.
--
-- The answer is the time in microseconds and, for each counter, whether the amount was allowed by it, how much of what was
-- wanted is granted, and two numbers of what is now: as in the seed, S with -1 where no span runs; C: how many are
-- under way, and microseconds until the first of them is over, or -1.
--
-- Times come as differences to the asker's clock and go as differences to this one, so the two need not agree.

local now
if ARGV[1] ~= '' then
	now = tonumber(ARGV[1])
else
	local t = redis.call('TIME')
	now = t[1] * 1000000 + t[2]
end
local ms = math.floor(now / 1000)

local slack = 60000 -- ms that a counter is kept when it could go, since clocks differ and are set back
local most = 2 ^ 48 - 1
local mostInSpan = 2 ^ 24 - 1
local forever = 2 ^ 61 -- ns

-- load reads what is stored of a counter as a string: its kind and what is known of it.
local function load(key)
	local stored = redis.pcall('GET', key)
	if type(stored) == 'table' and stored.err then
		if not string.find(stored.err, 'WRONGTYPE', 1, true) then
			error(stored.err)
		end
		return nil -- it was the counter of something else
	end
	if stored then
		local kind, a, b, c, rest = string.match(stored, '^(%u) (%d+) (%d+) (%d+) ?(.*)$')
		return kind, tonumber(a), tonumber(b), tonumber(c), rest
	end
end

local function store(c, value, ttl)
	redis.call('SET', c.key, value, 'PX', string.format('%d', math.max(1, ttl + slack)))
end
