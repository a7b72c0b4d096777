"""Values in messages: as they were given, unless they would fill the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_helpcrunch.client.customer_fields import written_fields, written_tags
from airflow_provider_helpcrunch.client.filters import check_filters
from airflow_provider_helpcrunch.client.ids import check_id
from airflow_provider_helpcrunch.client.timestamps import moment
from airflow_provider_helpcrunch.client.vocabulary import written_rating, written_status
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.operators import arguments
from airflow_provider_helpcrunch.plurals import LONGEST_QUOTED, quoted
from airflow_provider_helpcrunch.storage.formats import choose_format

HUGE = "x" * 1_000_000


@pytest.mark.parametrize(
    "value", ["", "it's", 5, None, ["a", 1], {"b": "é", "a": 2}, "x" * (LONGEST_QUOTED - 2)]
)
def test_a_short_value_is_quoted_as_it_is(value: Any) -> None:
    assert quoted(value) == repr(value)


@pytest.mark.parametrize("value", [HUGE, [HUGE], {"a": HUGE}, list(range(100_000))])
def test_of_a_long_value_the_beginning_is_quoted(value: Any) -> None:
    beginning, _, more = quoted(value).partition("… and ")
    assert repr(value).startswith(beginning)
    assert len(beginning) == LONGEST_QUOTED
    assert more == f"{len(repr(value)) - LONGEST_QUOTED:,} more characters"


REFUSALS: dict[str, Callable[[], Any]] = {
    "number": lambda: arguments.whole_number("at_least", HUGE, low=1, high=5),
    "seconds": lambda: arguments.seconds("older_than", HUGE, high=5),
    "names": lambda: arguments.names("roles", [HUGE, 5]),
    "flag": lambda: arguments.flag("dry_run", HUGE),
    "choice": lambda: arguments.choice("on_error", HUGE, ("report", "fail_fast")),
    "items": lambda: arguments.items("from_agents", f"('{HUGE}')"),
    "JSON": lambda: arguments.from_json("plan", f"[{HUGE}"),
    "filters": lambda: arguments.filter_list({"a": HUGE}),
    "record id": lambda: arguments.record_id("assignee", HUGE),
    "id": lambda: check_id("chat_id", HUGE),
    "filter": lambda: check_filters([{"field": HUGE, "operator": "=", "value": 1}], "AND", "chats"),
    "value": lambda: check_filters(
        [{"field": "chats.assignee", "operator": "=", "value": HUGE}], "AND", "chats"
    ),
    "field": lambda: written_fields({"name": [HUGE]}),
    "unknown field": lambda: written_fields({HUGE: "a"}),
    "tag": lambda: written_tags([{"label": HUGE}]),
    "time": lambda: moment("firstSeen", HUGE),
    "status": lambda: written_status(HUGE),
    "rating": lambda: written_rating(HUGE),
    "format": lambda: choose_format("/tmp/x", HUGE),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_no_refusal_repeats_a_huge_value(name: str) -> None:
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        REFUSALS[name]()
    assert "more characters" in str(caught.value)
    assert len(str(caught.value)) < 1_000
