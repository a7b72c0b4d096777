"""
What Redis does for :mod:`.rate_limit_redis`, in its own language: one script for each operation, each run alone.

``KEYS[1]`` is a sorted set: each slot, from 0 on, by the time from which it is free, in microseconds of Redis' clock;
and behind all of them one member that names the server's run. ``KEYS[2]`` exists while everyone pauses. ``ARGV``: the
limit; period, longest flight and life of an unused count in microseconds; what the operation needs.
"""

from __future__ import annotations

_NOW = """
local slots, pause = KEYS[1], KEYS[2]
local limit, period, flight, keep = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
"""

_COUNT = (
    _NOW
    + """
local beyond = 1e16 -- above every time

-- Who may not ask for the run, shares one that never changes.
local told = redis.pcall('INFO', 'server')
local at = type(told) == 'string' and string.find(told, 'run_id:', 1, true)
local run = at and string.sub(told, at, at + 46) or 'run_id:unknown'
local begun = redis.call('ZSCORE', slots, run)
if not begun then
    redis.call('DEL', slots)
    begun = now + beyond
    redis.call('ZADD', slots, begun, run)
end
local unknown = tonumber(begun) - beyond + period > now and 1 or 0
for slot = redis.call('ZCARD', slots) - 1, limit - 1 do
    redis.call('ZADD', slots, now + period, slot)
end
redis.call('PEXPIRE', slots, math.ceil(keep / 1000))

-- The n-th slot to become free among the first `limit`, and the time until then. A time further ahead than any that
-- can be written stems from a clock that was set back since.
local function nth(n)
    local from, step = n - 1, 1
    if redis.call('ZCARD', slots) - 1 > limit then
        from, step = 0, 100
    end
    while true do
        local found = redis.call('ZRANGE', slots, from, from + step - 1, 'WITHSCORES')
        for i = 1, #found, 2 do
            local slot = tonumber(found[i])
            if step == 1 or slot < limit then
                n = step == 1 and 0 or n - 1
                if n == 0 then
                    local wait = tonumber(found[i + 1]) - now
                    return slot, wait <= flight + period and math.max(wait, 0) or 0
                end
            end
        end
        from = from + step
    end
end

local function paused()
    local milliseconds = redis.call('PTTL', pause)
    return milliseconds >= 0 and (milliseconds + 1) * 1000 or 0
end
"""
)

TAKE = f"""{_COUNT}
local rest = paused()
if rest > 0 then
    return {{-1, rest, 1, 0}}
end
local slot, wait = nth(1)
if wait > 0 then
    return {{-1, math.min(wait, period), 0, unknown}}
end
redis.call('ZADD', slots, now + flight + period, slot)
return {{slot, 0, 0, 0}}
"""
"""Return ``[slot, 0, 0, 0]``, or ``[-1, microseconds to wait, 1 while all pause, 1 while the count is unknown]``."""

SETTLE = f"""{_NOW}
return redis.call('ZADD', slots, 'XX', now + period, ARGV[5])
"""
"""``ARGV[5]`` is the slot. Where the count is lost or will be found to be old, all slots get a later time than this."""

PAUSE = """
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[5]) then
    redis.call('SET', KEYS[2], 1, 'PX', ARGV[5])
end
return 0
"""
"""``ARGV[5]`` is the length in milliseconds."""

WAIT = f"""{_COUNT}
local _, wait = nth(tonumber(ARGV[5]))
return math.max(wait, paused())
"""
"""``ARGV[5]`` is the number of slots wanted. Return microseconds."""
