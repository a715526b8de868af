-- Spans: S <ms when it began> <count> <length in ms>

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
