"""Durations that a person reads, and texts of which the beginning is shown."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_helpcrunch.plurals import duration, shorten

SIZES = {"d": 86_400, "h": 3600, "min": 60, "s": 1}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((0, "0.0 s"), (0.44, "0.4 s"), (9.94, "9.9 s"), (9.96, "10 s"), (61, "61 s"), (119.4, "119 s")),
        *((119.6, "2 min"), (130.4, "2 min 10 s"), (600, "10 min"), (3599.4, "59 min 59 s"), (3599.6, "1 h")),
        *(
            (3900, "1 h 5 min"),
            (86_400, "1 d"),
            (90_000, "1 d 1 h"),
            (604_800, "7 d"),
            (10**9, "11,574 d 2 h"),
        ),
    ],
)
def test_a_duration_is_in_the_units_that_a_person_would_use(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@given(st.floats(min_value=0, max_value=10**8))
@example(90_149_399.5)  # rounded to seconds first, it would be a half more
def test_a_duration_is_off_by_less_than_half_of_its_smaller_unit(seconds: float) -> None:
    parts = duration(seconds).replace(",", "").split()
    numbers, units = [float(number) for number in parts[::2]], parts[1::2]
    read = sum(number * SIZES[unit] for number, unit in zip(numbers, units, strict=True))
    step = 0.1 if seconds < 9.95 else 1 if seconds < 3599.5 else 60 if seconds < 86_399.5 else 3600
    assert abs(read - seconds) <= step / 2 + 1e-6
    assert all(number for number in numbers) or seconds < 0.05 + 1e-6


def test_a_text_that_is_cut_says_so() -> None:
    assert [shorten("Adalbert", most) for most in (8, 7, 1)] == ["Adalbert", "Adalbe…", "…"]
