-- Token buckets: T <us when it is full> <and ns> <ns for each>

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
