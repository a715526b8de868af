-- One request

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
