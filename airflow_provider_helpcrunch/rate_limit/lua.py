"""
Lua scripts for :mod:`.redis`, one for each operation; Redis runs each of them alone.

``KEYS[1]`` is a sorted set. Its members are the slots, from 0 on; the score of each is the time from which it is free,
in microseconds of Redis' clock. Two more members may follow, with scores raised above those of all slots: the name of
the server that counts, with the time until which it did not know what had been sent before; and ``pause``, with the
time until which everyone pauses. One key holds all of this, so that it expires, and is lost, as a whole.

``ARGV``: the limit; period, longest flight, longest pause and life of an unused count in microseconds; the arguments of
the operation; and 1 if the server sees the script for the first time.
"""

from __future__ import annotations

_NOW = """
local slots = KEYS[1]
local limit, period, flight = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local longest_pause, keep = tonumber(ARGV[4]), tonumber(ARGV[5])
-- Above any time in microseconds. A number holds even twice this, plus a time, to 4 microseconds.
local raised = 1e16
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
-- Must come first: a server whose memory is full lets a script write only if its first command needs no memory.
redis.call('PEXPIRE', slots, math.ceil(keep / 1000))
"""

COUNT = f"""{_NOW}
local wanted, take, first_seen = tonumber(ARGV[6]), ARGV[7] == '1', ARGV[8] == '1'

local function info(section)
    local reply = redis.pcall('INFO', section) -- an ACL may forbid it
    return type(reply) == 'string' and reply or ''
end

-- This id changes with each start and each failover, after which the stored times may be old. The member's name is
-- longer than 64 bytes, or Redis would keep a set of this size as a list, through which each step would walk.
local replication = info('replication')
local server = 'counted by the server with the id ' .. (string.match(replication, 'master_replid:%w+') or 'unknown')

-- Whether no request can have been sent in the last period, although nothing is stored: nobody has counted here, for
-- that runs this script, and any request that got its slot before this server was started has arrived long ago.
local function nothing_was_spent()
    local up = tonumber(string.match(info('server'), 'uptime_in_seconds:(%d+)') or 0)
    local always_alone = string.find(replication, 'master_replid2:0000000000', 1, true)
    return first_seen and always_alone and up - 1 >= (flight + period) / 1000000
end

local begun = redis.call('ZSCORE', slots, server)
local paused_until = tonumber(redis.call('ZSCORE', slots, 'pause') or 0) - 2 * raised
if paused_until > 0 and (paused_until <= now or paused_until > now + longest_pause) then
    redis.call('ZREM', slots, 'pause') -- over, or from before the clock was set back
    paused_until = 0
end
local known = redis.call('ZCARD', slots) - 1 - (paused_until > 0 and 1 or 0)
if begun and known > 0 then
    local latest = redis.call('ZRANGE', slots, known - 1, known - 1, 'WITHSCORES')
    if tonumber(latest[2]) > now + flight + period + 1000000 then
        begun = false -- the clock was set back since, so the stored times mean nothing
    end
end
local unknown_until
if begun then
    unknown_until = tonumber(begun) - raised
else
    unknown_until = known == -1 and nothing_was_spent() and now or now + period
    redis.call('DEL', slots)
    redis.call('ZADD', slots, raised + unknown_until, server)
    if paused_until > 0 then
        redis.call('ZADD', slots, 2 * raised + paused_until, 'pause')
    end
    redis.call('PEXPIRE', slots, math.ceil(keep / 1000))
    known = 0
end
for slot = known, limit - 1 do
    redis.call('ZADD', slots, begun and now + period or unknown_until, slot)
end

-- The n-th slot to become free among the first `limit`, and when.
local function nth(n)
    if known <= limit then
        local found = redis.call('ZRANGE', slots, n - 1, n - 1, 'WITHSCORES')
        return tonumber(found[1]), tonumber(found[2])
    end
    -- Other clients use a higher limit: skip the slots that this one does not have.
    for from = 0, known - 1, 100 do
        local found = redis.call('ZRANGE', slots, from, math.min(from + 99, known - 1), 'WITHSCORES')
        for i = 1, #found, 2 do
            n = tonumber(found[i]) < limit and n - 1 or n
            if n == 0 then
                return tonumber(found[i]), tonumber(found[i + 1])
            end
        end
    end
end

local slot, free_at = nth(wanted)
if not slot then -- somebody removed slots: the next caller starts a new count
    redis.call('DEL', slots)
    return {{-1, period, 0, 1}}
end
local wait = math.max(free_at - now, 0)
local rest = math.max(paused_until - now, 0)
if take and wait == 0 and rest == 0 then
    redis.call('ZADD', slots, now + flight + period, slot)
end
-- A slot in use may be released at any moment, and be free one period later.
wait = math.max(take and math.min(wait, period) or wait, rest)
return {{slot, wait, rest > 0 and 1 or 0, unknown_until > now and 1 or 0}}
"""
"""
``ARGV[6]`` is the number of slots wanted, ``ARGV[7]`` is 1 to acquire the first one if it is free. Return that slot,
the microseconds to wait for it (0 when it was acquired), 1 while all pause, 1 while the count is unknown.
"""

RELEASE = f"""{_NOW}
return redis.call('ZADD', slots, 'XX', now + period, ARGV[6])
"""
"""``ARGV[6]`` is the slot. Where the count is lost or will be found to be old, all slots get a later time."""

PAUSE = f"""{_NOW}
local until_then = 2 * raised + now + tonumber(ARGV[6])
local noted = tonumber(redis.call('ZSCORE', slots, 'pause') or 0)
if noted < until_then or noted > 2 * raised + now + longest_pause then
    redis.call('ZADD', slots, until_then, 'pause')
    redis.call('PEXPIRE', slots, math.ceil(keep / 1000))
end
return 0
"""
"""``ARGV[6]`` is the length in microseconds. The next count keeps it, even if this one is lost."""
