"""Moments: every spelling of the API, and everything that a person or a template may give."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy_integer import NumPyInteger

from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.client.timestamps import moment
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.plurals import quoted
from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.unix_time import EPOCH, parse_timestamp

WHOLE = datetime(2024, 5, 1, 8, 0, tzinfo=UTC)
"""1714550400 in seconds since 1970."""

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (1714550400, WHOLE),
        ("1714550400", WHOLE),
        ("1714550400.000", WHOLE),
        (1714550400.0, WHOLE),
        ("1714550400.913", WHOLE + timedelta(milliseconds=913)),
        (1714550400.913, WHOLE + timedelta(milliseconds=913)),
        ("1714550400.000001", WHOLE + timedelta(microseconds=1)),
        ("1714550400.1234564999", WHOLE + timedelta(microseconds=123456)),
        (0, EPOCH),
        ("0", EPOCH),
        ("-1.5", EPOCH - timedelta(seconds=1.5)),
    ],
)
def test_every_spelling_of_the_api_is_read(value: Any, read: datetime) -> None:
    assert parse_timestamp(value) == read


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", " ", "soon", "2024-05-01", "1714550400.", ".5", "1e9", "１７１４５５０４００", "1 714"),
        *(True, False, float("nan"), float("inf"), 1e300, 10**30, "9" * 12, "9" * 5000, [1], {"a": 1}, b"1"),
        *(Decimal(1), "1714550400\n", "0x10", "1714550400913"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_timestamp_is_none(value: Any) -> None:
    assert parse_timestamp(value) is None


@pytest.mark.parametrize("style", ["string", "integer", "fractional"])
def test_a_chat_has_the_same_times_in_every_style(
    sandbox: Callable[..., Sandbox], client: Callable[..., HelpCrunchClient], style: Any
) -> None:
    names = ("createdAt", "closedAt", "lastMessageAt", "lastCustomerMessageAt", "snoozedUntil")
    account = sandbox(chats=60, timestamps=style)
    plain = sandbox(chats=60).chats
    for chat, other in zip(client(account).list_chats(), plain, strict=True):
        for name in names:
            shown, expected = parse_timestamp(chat[name]), parse_timestamp(other[name])
            assert (shown is None) == (expected is None) == (other[name] is None)
            if shown and expected:
                assert abs(shown - expected) < timedelta(seconds=1)


@given(MOMENTS)
def test_no_microsecond_is_lost(at: datetime) -> None:
    text = f"{(at - EPOCH) // timedelta(seconds=1)}.{at.microsecond:06d}"
    assert parse_timestamp(text) == at
    assert moment("x", text) == at


@given(st.integers(-(10**9), 10**10))
def test_integers_and_their_digits_are_the_same(seconds: int) -> None:
    assert parse_timestamp(seconds) == parse_timestamp(str(seconds)) == EPOCH + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    [
        WHOLE,
        WHOLE.replace(tzinfo=None),
        WHOLE.astimezone(timezone(timedelta(hours=5, minutes=45))),
        pendulum.instance(WHOLE),
        pendulum.datetime(2024, 5, 1, 11, tz="Europe/Kyiv"),
        "2024-05-01T08:00:00",
        "2024-05-01T08:00:00Z",
        "2024-05-01 08:00",
        "2024-05-01T10:00:00+02:00",
        " 2024-05-01T08:00:00.000000+00:00\n",
        str(pendulum.instance(WHOLE)),
        1714550400,
        NumPyInteger(1714550400),
        1714550400.0,
        "1714550400",
        "1714550400.000",
    ],
    ids=repr,
)
def test_everything_a_person_or_a_template_gives_is_the_same_moment_in_utc(value: Any) -> None:
    read = moment("since", value)
    assert read == WHOLE
    assert (type(read), read.tzinfo) == (datetime, UTC)


@pytest.mark.parametrize("value", [WHOLE.replace(tzinfo=None), "2024-05-01T08:00", 1714550400], ids=repr)
def test_the_time_zone_of_the_machine_does_not_matter(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        assert moment("since", value) == WHOLE
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "value",
    [
        *(date(2024, 5, 1), "2024-05-01", pendulum.date(2024, 5, 1)),
        # ds_nodash, as text, and as Airflow renders it natively; then as a spreadsheet or a data frame has it.
        *("20240501", 20240501, " 20240501\n", 20240501.0, "20240501.0"),
    ],
    ids=repr,
)
def test_a_day_begins_at_midnight_in_utc(value: Any) -> None:
    assert moment("since", value) == WHOLE.replace(hour=0)


@given(MOMENTS, OFFSETS)
def test_an_offset_changes_the_spelling_and_not_the_moment(at: datetime, offset: timezone) -> None:
    local = at.astimezone(offset)
    assert moment("x", local) == moment("x", local.isoformat()) == at


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "soon", "2024-13-01", "{{ ds }}", True, [], {}, object, float("nan"), 1e300, 10**30),
        *("1714550400913", "9" * 5000, "9" * 12, 1714550400913),
        *("20240501080000", 20240501080000, "1701011200000", 1701011200000, "20241301", 20241301),
        *("9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"),
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=5))),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_moment_is_one_clear_sentence(value: Any) -> None:
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        moment("active_since", value)
    assert str(caught.value) == (
        "active_since must be a time: a datetime, ISO 8601 text such as 2026-01-31T08:00:00+00:00, "
        f"or UNIX seconds; not {quoted(value)}."
    )
