"""The moment that a sandbox's chats lead up to, and the times of what changes afterwards."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from airflow_provider_helpcrunch.sandbox import Sandbox

PAST = ("createdAt", "lastMessageAt", "lastCustomerMessageAt", "closedAt")
STEP = 300
"""Seconds between two chats."""


def times(chat, *names):
    return [float(chat[name]) for name in names if chat[name] is not None]


@pytest.mark.parametrize("chats", [1, 300, 5000])
def test_without_a_moment_the_chats_lead_up_to_the_present(chats):
    before = time.time()
    made = Sandbox(chats=chats).chats
    created = [int(chat["createdAt"]) for chat in made]
    assert before - 4 * STEP - 1 < created[-1] <= time.time()
    assert before - chats * STEP - 1 <= created[0] <= time.time() - (chats - 1) * STEP
    assert max(moment for chat in made for moment in times(chat, *PAST)) <= time.time()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("style", ["string", "fractional"])
def test_nothing_is_later_than_now_and_each_chat_is_in_order(seed, style):
    now = 1_769_846_400
    for chat in Sandbox(chats=2000, seed=seed, now=now, timestamps=style).chats:
        created = float(chat["createdAt"])
        assert max(times(chat, *PAST)) <= now
        assert min(times(chat, *PAST)) == created
        assert times(chat, "lastCustomerMessageAt") <= (times(chat, "lastMessageAt") or [0])
        assert chat["closedAt"] is None or times(chat, "lastMessageAt") <= times(chat, "closedAt")
        assert (chat["closedAt"] is None) == (chat["status"] != "closed")
        assert chat["snoozedUntil"] is None or times(chat, "snoozedUntil") > times(chat, "lastMessageAt")


def test_every_chat_is_as_old_at_any_moment():
    one, other = (Sandbox(chats=2000, now=now).chats for now in (1_700_000_000, 1_769_846_400))

    def ages(chat, now):
        return {name: chat[name] and round(now - float(chat[name]), 3) for name in (*PAST, "snoozedUntil")}

    assert [ages(chat, 1_700_000_000) for chat in one] == [ages(chat, 1_769_846_400) for chat in other]
    assert [chat["status"] for chat in one] == [chat["status"] for chat in other]


@pytest.mark.parametrize(
    "now",
    [
        *(
            1_769_846_400,
            1_769_846_400.9,
            "1769846400",
            "1769846400.9",
            "2026-01-31T08:00",
            "2026-01-31 08:00:00Z",
        ),
        *(
            "2026-01-31T10:00+02:00",
            "20260131T080000",
            datetime(2026, 1, 31, 8),
            datetime(2026, 1, 31, 8, tzinfo=UTC),
        ),
        datetime(2026, 1, 31, 10, tzinfo=timezone(timedelta(hours=2))),
    ],
    ids=repr,
)
def test_a_moment_has_many_spellings(now):
    assert Sandbox(chats=20, now=now).chats == Sandbox(chats=20, now=1_769_846_400).chats


def test_a_clock_that_was_set_goes_on_by_a_second_with_each_change():
    sandbox = Sandbox(chats=20, now=1_769_846_400)
    assert [chat["createdAt"] for chat in sandbox.insert_chats(2)] == ["1769846401", "1769846402"]
    sandbox.reset()
    assert [chat["createdAt"] for chat in sandbox.insert_chats(1)] == ["1769846401"]


def test_the_clock_of_this_machine_gives_each_change_its_time(monkeypatch):
    sandbox = Sandbox(chats=20)
    before = sandbox.chats
    added = sandbox.insert_chats(50)
    sandbox.update_chat(before[0]["id"], status="opened")
    closed = sandbox.update_chat(before[0]["id"], status="closed")
    latest = max(moment for chat in (*added, closed) for moment in times(chat, *PAST))
    assert time.time() - 60 < latest <= time.time() + 0.1
    later = time.time_ns() + 3600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: later)
    assert int(sandbox.insert_chats(1)[0]["createdAt"]) == later // 10**9
    sandbox.reset()
    assert sandbox.chats == before
