"""
What Redis does for :mod:`.rate_limit_redis`, in its own language: one script for each operation, each run alone.

``KEYS[1]`` is a sorted set: each slot, from 0 on, by the time from which it is free, in microseconds of Redis' clock;
and behind all of them one member that names the server's run. ``KEYS[2]`` exists while everyone pauses. ``ARGV``: the
limit; period, longest flight and life of an unused count in microseconds; what the operation needs; and at the end, of
a script whose answer is waited for, whether the server saw it for the first time.
"""

from __future__ import annotations

_NOW = """
local slots, pause = KEYS[1], KEYS[2]
local limit, period, flight, keep = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
"""

COUNT = f"""{_NOW}
local wanted, take, first_seen = tonumber(ARGV[5]), ARGV[6] == '1', ARGV[7] == '1'
local beyond = 1e16 -- above every time

-- Who may not ask for the run, shares one that never changes. The name is longer than 64 bytes so that Redis does not
-- pack the set into a list, through which it would walk at each step.
local told = redis.pcall('INFO', 'server')
told = type(told) == 'string' and told or ''
local run = 'the server that counts is that of ' .. (string.match(told, 'run_id:%w+') or 'run_id:unknown')
local begun = redis.call('ZSCORE', slots, run)
local unknown_until = now + period
if begun then
    unknown_until = tonumber(begun) - beyond
else
    -- Who used this account while the server was up, ran this script. Before that, nobody can have used it any later
    -- than a moment before the server began, and that request has long arrived.
    local up = tonumber(string.match(told, 'uptime_in_seconds:(%d+)') or 0)
    if first_seen and up - 1 >= (flight + period) / 1000000 and redis.call('EXISTS', slots) == 0 then
        unknown_until = now
    end
    redis.call('DEL', slots)
    redis.call('ZADD', slots, beyond + unknown_until, run)
end
local unknown = unknown_until > now and 1 or 0
local known = redis.call('ZCARD', slots) - 1
for slot = known, limit - 1 do
    redis.call('ZADD', slots, begun and now + period or unknown_until, slot)
end
redis.call('PEXPIRE', slots, math.ceil(keep / 1000))

-- The n-th slot to become free among the first `limit`, and the time until then. A time further ahead than any that
-- can be written stems from a clock that was set back since.
local function nth(n)
    local from, step = n - 1, 1
    if known > limit then
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

local slot, wait = nth(wanted)
local milliseconds = redis.call('PTTL', pause)
local rest = milliseconds >= 0 and (milliseconds + 1) * 1000 or 0
if take and wait == 0 and rest == 0 then
    redis.call('ZADD', slots, now + flight + period, slot)
end
-- A slot in use may be settled at any moment, and be free one period later.
wait = math.max(take and math.min(wait, period) or wait, rest)
return {{slot, wait, rest > 0 and 1 or 0, unknown}}
"""
"""
``ARGV[5]`` is the number of slots wanted, ``ARGV[6]`` is 1 to take the first one if it is free. Return that slot, the
microseconds to wait for it (0 when it was taken), 1 while all pause, 1 while the count is unknown.
"""

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
