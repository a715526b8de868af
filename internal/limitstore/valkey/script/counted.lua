-- Quotas and budgets: Q <day on which it ends> <count> <ms when it ends> <calendar> <day on which it would have ended
-- by the calendar before>

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
