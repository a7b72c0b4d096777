"""Cursors of a watch over chats: what is new, what is kept of it, and how much that may be."""

from __future__ import annotations

import json
import random

import pytest

from airflow_provider_helpcrunch.chats import watching
from airflow_provider_helpcrunch.chats.watching import OVERLAP, Row, SetCursor, TimeCursor

NOW = 1_800_000_000.0


def rows(*times: float, first: int = 1) -> list[Row]:
    return [Row(first + number, NOW + at, None) for number, at in enumerate(times)]


class TestTimes:
    def test_a_chat_that_becomes_visible_late_is_new_and_none_is_twice(self) -> None:
        everything = rows(0, 1, 2, 3, 4)
        cursor = TimeCursor(NOW - 600)
        new, cursor = cursor.after(everything[3:], everything[3:])
        assert new == [4, 5]
        new, cursor = cursor.after(everything, everything)
        assert new == [1, 2, 3]
        assert cursor.after(everything, everything) == ([], cursor)

    def test_a_chat_closed_again_is_new_again(self) -> None:
        _, cursor = TimeCursor(NOW).after(rows(1), rows(1))
        assert cursor.after(rows(9), rows(9))[0] == [1]

    def test_it_goes_on_with_all_chats_and_keeps_only_its_own(self) -> None:
        everything = rows(0, 1000)
        new, cursor = TimeCursor(NOW).after(everything, everything[:1])
        assert new == [1]
        assert (cursor.since, dict(cursor.recent)) == (NOW + 1000 - OVERLAP, {})

    def test_it_never_goes_back(self) -> None:
        _, cursor = TimeCursor(NOW).after(rows(1000), rows(1000))
        assert cursor.after([], [])[1] == cursor

    @pytest.mark.parametrize("step", [0.0, 0.01, 0.3, 1.0])
    def test_it_stays_small_and_still_repeats_nothing(
        self, step: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watching, "MOST_RECENT", 50)
        everything, cursor, found = rows(*(step * n for n in range(500))), TimeCursor(NOW), []
        for end in range(7, 507, 7):
            there = [row for row in everything[:end] if row.at >= cursor.since]
            new, cursor = cursor.after(there, there)
            found += new
            in_one_second = min(500, int(1 / step) + 1) if step else 500
            assert len(cursor.recent) < 50 + in_one_second
        assert found == [row.id for row in everything]

    def test_survives_json(self) -> None:
        _, cursor = TimeCursor(NOW).after(rows(0.25, 1.125), rows(0.25, 1.125))
        assert TimeCursor.from_json(json.loads(json.dumps(cursor.to_json()))) == cursor


class TestSets:
    def test_what_was_not_there_before_is_new(self) -> None:
        _, cursor = SetCursor(frozenset()).after(rows(0, 0), rows(0, 0))
        new, cursor = cursor.after(rows(0, 0, first=2), rows(0, 0, first=2))
        assert new == [3]
        assert cursor.after(rows(0), rows(0))[0] == [1]

    def test_too_many_chats_are_neither_repeated_nor_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watching, "MOST_UNASSIGNED", 5)
        chance, there, cursor = random.Random(1), set(range(1, 20)), SetCursor(frozenset())
        cursor = SetCursor.first([], [Row(n, 0.0, None) for n in there], NOW)
        for number in range(20, 60):
            there -= set(chance.sample(sorted(there), 1))
            there.add(number)
            mine = [Row(n, 0.0, None) for n in there]
            new, cursor = cursor.after(mine, mine)
            assert new == [number]
            assert len(cursor.known) <= 5

    def test_survives_json_and_stays_below_what_airflow_warns_of(self) -> None:
        most = [Row(900_000_000 + n, 0.0, None) for n in range(20_000)]
        cursor = SetCursor.first(most, most, NOW)
        text = json.dumps(cursor.to_json())
        assert len(text) < 65_535
        assert SetCursor.from_json(json.loads(text)) == cursor
