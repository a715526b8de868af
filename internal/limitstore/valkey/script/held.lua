-- Requests under way: a sorted set of their ids, each with a number, by when they are over, in microseconds

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
