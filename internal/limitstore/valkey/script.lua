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

---- Spans: S <ms when it began> <count> <length in ms>

local function span()
	local it = {}

	function it.read(c)
		local kind, a, b, per = load(c.key)
		if kind == 'T' then
			local used = math.ceil(((a - now) * 1000 + b) / per)
			if used > 0 then
				c.began, c.count = ms, math.min(used, mostInSpan)
			end
		elseif kind == 'S' then
			c.began, c.count = a, b
		elseif c.seed then
			c.began, c.count = ms - c.seed, c.seedCount
			c.changed = ms - c.began < c.per
		end
		if not c.began or ms - c.began >= c.per then
			c.began, c.count = nil, 0
		elseif ms < c.began then
			c.began, c.setBack = ms, true
		end
	end

	function it.begin(c)
		c.began, c.changed = c.began or ms, true
	end

	function it.fits(c, n) return n >= 0 and n <= c.max - c.count end

	function it.take(c, n)
		if n > 0 then
			it.begin(c)
			c.count = c.count + n
		end
	end

	function it.charge(c, n, ask)
		if n < 0 and (c.setBack or c.count == 0 or ask.epoch ~= 0 and ask.epoch ~= c.began) then
			return -- it was taken from another span
		end
		it.begin(c)
		c.count = math.min(math.max(0, c.count + n), mostInSpan)
	end

	function it.left(c) return c.max - c.count end

	function it.write(c)
		store(c, string.format('S %d %d %d', c.began, c.count, c.per), c.began + c.per - ms)
	end

	function it.tell(c)
		if c.began then
			return ms - c.began, c.count
		end
		return -1, 0
	end
	return it
end

---- Token buckets: T <us when it is full> <and ns> <ns for each>

local function tokens()
	local it = {}

	function it.read(c)
		c.capacity = math.min(c.max * c.per, forever)
		c.full = 0 -- ns from now
		local kind, a, b, per = load(c.key)
		if kind == 'T' then
			c.full = math.max(0, (a - now) * 1000 + b)
			if per ~= c.per then
				c.full = math.ceil(math.min(c.full / per, c.max) * c.per)
			end
		elseif kind == 'S' then
			if ms - a < per then
				c.full = math.min(b, c.max) * c.per
			end
		elseif c.seed and c.seed > 0 then
			c.full, c.changed = c.seed, true
		end
		c.full = math.min(c.full, c.capacity)
	end

	function it.fits(c, n) return n >= 0 and n <= c.max and c.full + n * c.per <= c.capacity end

	function it.take(c, n)
		if n > 0 then
			c.full, c.changed = c.full + n * c.per, true
		end
	end

	function it.charge(c, n)
		c.full = math.min(math.max(0, c.full + n * c.per), c.capacity)
		c.changed = true
	end

	function it.left(c) return math.floor((c.capacity - c.full) / c.per) end

	function it.write(c)
		local us = math.floor(c.full / 1000)
		store(c, string.format('T %d %d %d', now + us, c.full - us * 1000, c.per), math.ceil(us / 1000))
	end

	function it.tell(c) return c.full, 0 end
	return it
end

---- Quotas and budgets: Q <day on which it ends> <count> <ms when it ends> <calendar> <day on which it would have ended
---- by the calendar before>

local function counted()
	local it = {}

	function it.read(c)
		c.day, c.count, c.over = c.per, 0, ms + c.ends
		local kind, day, count, over, rest = load(c.key)
		if kind == c.kind then
			local calendar, before = string.match(rest, '^(%S*) ?(%d*)$')
			if calendar ~= c.calendar then
				-- The calendar was edited: what counts in its period goes on in that of the new one, and what of it
				-- lies in leases comes back under the old name.
				if ms < over then
					c.count, c.before = count, day
				end
				return
			end
			if day == c.day then
				c.before = tonumber(before)
			end
		elseif c.seed then
			day, count, over = c.seed, c.seedCount, ms + c.ends
			c.changed = count > 0 and (day == c.day or day > c.today)
		else
			return
		end
		if day == c.day then
			c.count = count
		elseif day > c.today then
			c.count = count
			if day > c.day then
				c.day, c.over = day, math.max(over, c.over)
			end
		end
	end

	function it.fits(c, n)
		local left = c.max - c.count
		return n >= 0 and n <= left and left > 0
	end

	function it.take(c, n)
		if n > 0 then
			c.count, c.changed = c.count + n, true
		end
	end

	function it.charge(c, n, ask)
		if n < 0 and (c.count == 0 or ask.epoch ~= 0 and ask.epoch ~= c.day and ask.epoch ~= c.before) then
			return -- it was taken in another period
		end
		c.count, c.changed = math.min(math.max(0, c.count + n), most), true
	end

	function it.left(c) return c.max - c.count end

	function it.write(c)
		store(c, string.format('%s %d %d %d %s %s', c.kind, c.day, c.count, c.over, c.calendar, c.before or ''), c.over - ms)
	end

	function it.tell(c) return c.day, c.count end
	return it
end

---- Requests under way: a sorted set of their ids, each with a number, by when they are over, in microseconds

local function held()
	local it = {}
	local sameId = 1000 -- so many requests of one id can be told apart
	local atOnce = 50

	function it.read(c)
		local gone = redis.pcall('ZREMRANGEBYSCORE', c.key, '-inf', now)
		if type(gone) == 'table' and gone.err then
			if not string.find(gone.err, 'WRONGTYPE', 1, true) then
				error(gone.err)
			end
			redis.call('DEL', c.key)
		end
		c.over = now + c.per * 1000
		c.count = redis.call('ZCARD', c.key)
	end

	-- member finds the first name of an id that is there, or that is not.
	local function member(c, id, there)
		local name = id .. ':0'
		if (redis.call('ZSCORE', c.key, name) ~= false) == there then
			return name
		end
		for first = 1, sameId - 1, atOnce do
			local names = {}
			for i = 1, atOnce do
				names[i] = id .. ':' .. (first + i - 1)
			end
			local scores = redis.call('ZMSCORE', c.key, unpack(names))
			for i = 1, atOnce do
				if (scores[i] ~= false) == there then
					return names[i]
				end
			end
		end
	end

	local function hold(c, name)
		redis.call('ZADD', c.key, c.over, name)
		redis.call('PEXPIRE', c.key, c.per + 2 * slack)
		c.count = c.count + 1
	end

	function it.fits(c, n, ask)
		-- A clock that was set back would leave them under way for as much longer.
		local late = redis.call('ZRANGEBYSCORE', c.key, string.format('(%d', c.over + slack * 1000), '+inf')
		for _, name in ipairs(late) do
			redis.call('ZADD', c.key, c.over, name)
		end
		return n <= c.max - c.count and member(c, ask.id, false)
	end

	function it.take(c, _, ask)
		local name = member(c, ask.id, false)
		if name then
			hold(c, name)
		end
	end

	function it.charge(c, n, ask)
		if n > 0 then
			it.take(c, n, ask)
			return
		end
		local name = member(c, ask.id, true)
		if name then
			redis.call('ZREM', c.key, name)
			c.count = c.count - 1
		end
	end

	function it.left() return 0 end

	function it.tell(c)
		local first = redis.call('ZRANGE', c.key, 0, 0, 'WITHSCORES')
		if first[2] then
			return c.count, first[2] - now
		end
		return c.count, -1
	end
	return it
end

---- One request

local kinds = { S = span, T = tokens, Q = counted, B = counted, C = held }
local made, asks, counters = {}, {}, {}
local settled = KEYS[(#ARGV - 1) / stride + 1]

-- due says whether a debt is not settled yet, and makes it settled.
local function due(key, number)
	if tonumber(redis.call('HGET', settled, key) or 0) >= number then
		return false
	end
	redis.call('HSET', settled, key, number)
	redis.call('PEXPIRE', settled, 24 * 3600 * 1000)
	return true
end

for i = 1, (#ARGV - 1) / stride do
	local key = KEYS[i]
	local at = 1 + (i - 1) * stride
	local c = counters[key]
	if not c then
		local kind = ARGV[at + 1]
		local of = made[kind]
		if not of then
			of = kinds[kind]()
			made[kind] = of
		end
		c = {
			key = key, kind = kind, of = of, max = tonumber(ARGV[at + 3]), per = tonumber(ARGV[at + 4]),
			today = tonumber(ARGV[at + 5]), ends = tonumber(ARGV[at + 6]), calendar = ARGV[at + 7],
			seed = tonumber(ARGV[at + 12]), seedCount = tonumber(ARGV[at + 13]), asked = 0,
		}
		c.of.read(c)
		counters[key] = c
	end
	local ask = {
		c = c, group = ARGV[at + 2], id = ARGV[at + 5], amount = tonumber(ARGV[at + 8]),
		epoch = tonumber(ARGV[at + 10]), want = tonumber(ARGV[at + 11]), allowed = 1, granted = 0,
	}
	local used = tonumber(ARGV[at + 9])
	if settled then
		if c.due == nil then
			c.due = due(key, ask.epoch)
		end
		ask.epoch = 0
	end
	if used ~= 0 and c.due ~= false then
		c.of.charge(c, used, ask)
	end
	asks[i] = ask
end

-- together takes all that a group asks for, or nothing of it.
local function together(group)
	local refused = false
	for _, ask in ipairs(asks) do
		local c = ask.c
		if ask.group == group and ask.amount then
			if c.of.fits(c, c.asked + ask.amount, ask) then
				c.asked = c.asked + ask.amount
			else
				refused, ask.allowed = true, 0
			end
		end
	end
	for _, ask in ipairs(asks) do
		if ask.group == group and ask.amount then
			ask.c.asked = 0
			if not refused then
				ask.c.of.take(ask.c, ask.amount, ask)
			end
		end
	end
	return not refused
end

if together('0') then
	local done = { ['0'] = true }
	for _, ask in ipairs(asks) do
		if not done[ask.group] then
			done[ask.group] = true
			together(ask.group)
		end
	end
end

local answer = { now }
for _, ask in ipairs(asks) do
	local c = ask.c
	if ask.want > 0 then
		ask.granted = math.max(0, math.min(ask.want, c.of.left(c)))
		c.of.take(c, ask.granted, ask)
	end
end
for _, ask in ipairs(asks) do
	local c = ask.c
	if c.changed then
		c.of.write(c)
		c.changed = false
	end
	local at = #answer
	answer[at + 1], answer[at + 2] = ask.allowed, ask.granted
	answer[at + 3], answer[at + 4] = c.of.tell(c)
end
return answer
