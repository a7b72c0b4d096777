"""Search filters: what is sent, what is found, and that a wrong one never leaves this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy_integer import NumPyInteger

from airflow_provider_helpcrunch.client import Filter, HelpCrunchClient
from airflow_provider_helpcrunch.client.filters import CHAT_FIELDS, OPERATORS, check_filters
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.sandbox import Sandbox

Start = Callable[..., Sandbox]
Connect = Callable[..., HelpCrunchClient]

QUIET = settings(max_examples=300, suppress_health_check=list(HealthCheck))

FIELDS = ", ".join(CHAT_FIELDS)
NUMBERS, TEXTS = "=, !=, >, <, >=, <=".split(", "), "=, !=, ~, !~".split(", ")
DOCUMENTED = {
    **dict.fromkeys(("chats.assignee", "chats.agents", "chats.department", "chats.customer"), NUMBERS),
    **dict.fromkeys(("chats.createdAt", "chats.closedAt", "chats.updatedAt"), NUMBERS),
    **dict.fromkeys(("chats.status", "chats.rating"), TEXTS),
    **dict.fromkeys(("chats.customer.email", "chats.customer.userId"), TEXTS),
    "chats.customer.tagsData": ["="],
}
# Such a number is read as a day, and not each of them is one: 19000000 is refused.
SECONDS = st.integers(0, 10**10).filter(lambda seconds: not re.fullmatch(r"(19|20)\d{6}", str(seconds)))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "integer": st.integers(-(2**62), 2**62),
    "date": st.one_of(SECONDS, st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1))),
    "string": st.text(min_size=1),
    "tags": st.lists(st.text(min_size=1), min_size=1),
}
FILTERS = st.sampled_from(sorted(CHAT_FIELDS)).flatmap(
    lambda field: st.builds(
        Filter, st.just(field), st.sampled_from(OPERATORS[CHAT_FIELDS[field]]), VALUES[CHAT_FIELDS[field]]
    )
)


def sent(account: Sandbox) -> list[dict[str, Any]]:
    """Return the filter that reached the server; every page must ask for the same one."""
    bodies = [request.body for request in account.requests("/v1/chats/search", "POST")]
    assert bodies
    assert all(body["filter"] == bodies[0]["filter"] for body in bodies)
    filters: list[dict[str, Any]] = bodies[0]["filter"]
    return filters


def test_the_fields_and_operators_are_the_documented_ones() -> None:
    assert {field: list(OPERATORS[kind]) for field, kind in CHAT_FIELDS.items()} == DOCUMENTED


@pytest.mark.parametrize(
    ("given_filter", "value"),
    [
        (Filter("chats.assignee", "=", 1001), 1001),
        (Filter("chats.assignee", "!=", "1001"), 1001),
        (Filter("chats.assignee", "=", NumPyInteger(1001)), 1001),
        (Filter("chats.createdAt", ">=", NumPyInteger(1714550400)), 1714550400),
        (Filter("chats.department", ">=", 102), 102),
        (Filter("chats.status", "!=", "closed"), "closed"),
        (Filter("chats.customer.email", "~", "@mail.example"), "@mail.example"),
        (Filter("chats.customer.userId", "!~", "123"), "123"),
        (Filter("chats.customer.tagsData", "=", "vip"), [{"name": "vip"}]),
        (Filter("chats.customer.tagsData", "=", ["vip", "trial"]), [{"name": "vip"}, {"name": "trial"}]),
        (Filter("chats.customer.tagsData", "=", ("vip",)), [{"name": "vip"}]),
        (Filter("chats.customer.tagsData", "=", [{"name": "vip", "color": "#fff"}]), [{"name": "vip"}]),
        (Filter("chats.createdAt", ">=", 1714550400), 1714550400),
        (Filter("chats.createdAt", ">=", "1714550400"), 1714550400),
        (Filter("chats.createdAt", ">=", "2024-05-01"), 1714521600),
        (Filter("chats.createdAt", ">=", date(2024, 5, 1)), 1714521600),
        (Filter("chats.createdAt", ">=", "2024-05-01T10:00:00+02:00"), 1714550400),
        (Filter("chats.createdAt", ">=", datetime(2024, 5, 1, 8)), 1714550400),
        (
            Filter("chats.closedAt", "<", datetime(2024, 5, 1, 3, tzinfo=timezone(timedelta(hours=-5)))),
            1714550400,
        ),
        (Filter("chats.closedAt", ">=", "1714550400.713"), 1714550400),
        (Filter("chats.closedAt", "<", "1714550400.713"), 1714550401),
        (Filter("chats.closedAt", "<=", "1714550400.713"), 1714550401),
    ],
    ids=lambda value: f"{value.field} {value.operator} {value.value!r}" if isinstance(value, Filter) else "",
)
@pytest.mark.parametrize("written_as", ["filter", "object"])
def test_a_filter_is_sent_in_the_type_of_its_field(
    sandbox: Start, client: Connect, given_filter: Filter, value: Any, written_as: str
) -> None:
    account = sandbox(chats=5)
    parts = {name: getattr(given_filter, name) for name in ("field", "operator", "value")}
    client(account).search_chats([given_filter if written_as == "filter" else parts])
    (one,) = sent(account)
    assert one == {**parts, "value": value}
    assert json.dumps(one) == json.dumps({**parts, "value": value})  # 1 is not 1.0


WRONG: list[tuple[Any, str]] = [
    (
        Filter("chats.assigne", "=", 1),
        f"Chats cannot be searched by 'chats.assigne'; fields are {FIELDS}.",
    ),
    (Filter("assignee", "=", 1), f"Chats cannot be searched by 'assignee'; fields are {FIELDS}."),
    (
        Filter("chats.lastMessageAt", ">", 1),
        f"Chats cannot be searched by 'chats.lastMessageAt'; fields are {FIELDS}.",
    ),
    (Filter("customers.id", "=", 1), f"Chats cannot be searched by 'customers.id'; fields are {FIELDS}."),
    (Filter(None, "=", 1), f"Chats cannot be searched by None; fields are {FIELDS}."),  # type: ignore[arg-type]
    (
        Filter(["chats.assignee"], "=", 1),
        f"Chats cannot be searched by ['chats.assignee']; fields are {FIELDS}.",
    ),  # type: ignore[arg-type]
    (
        Filter("chats.assignee", "~", 1),
        "chats.assignee cannot be compared by '~'; its operators are = != > < >= <=.",
    ),
    (
        Filter("chats.createdAt", "==", 1),
        "chats.createdAt cannot be compared by '=='; its operators are = != > < >= <=.",
    ),
    (
        Filter("chats.status", ">", "new"),
        "chats.status cannot be compared by '>'; its operators are = != ~ !~.",
    ),
    (
        Filter("chats.customer.tagsData", "!=", "vip"),
        "chats.customer.tagsData cannot be compared by '!='; its operators are =.",
    ),
    (
        Filter("chats.assignee", None, 1),
        "chats.assignee cannot be compared by None; its operators are = != > < >= <=.",
    ),  # type: ignore[arg-type]
    (
        Filter("chats.assignee", "=", "ada"),
        "chats.assignee is compared with a whole number, not with 'ada'.",
    ),
    (Filter("chats.assignee", "=", None), "chats.assignee is compared with a whole number, not with None."),
    (Filter("chats.assignee", "=", True), "chats.assignee is compared with a whole number, not with True."),
    (Filter("chats.assignee", "=", 1.5), "chats.assignee is compared with a whole number, not with 1.5."),
    (Filter("chats.assignee", "=", [1]), "chats.assignee is compared with a whole number, not with [1]."),
    (Filter("chats.status", "=", 3), "chats.status is compared with a text, not with 3."),
    (Filter("chats.customer.email", "~", ""), "chats.customer.email is compared with a text, not with ''."),
    (
        Filter("chats.customer.tagsData", "=", []),
        "chats.customer.tagsData is compared with a list of tag names, not with [].",
    ),
    (
        Filter("chats.customer.tagsData", "=", ["vip", 3]),
        "chats.customer.tagsData is compared with a list of tag names, not with ['vip', 3].",
    ),
    (
        Filter("chats.customer.tagsData", "=", {"name": "vip"}),
        "chats.customer.tagsData is compared with a list of tag names, not with {'name': 'vip'}.",
    ),
    (
        Filter("chats.createdAt", ">", "yesterday"),
        "chats.createdAt must be a time: a datetime, ISO 8601 text such as 2026-01-31T08:00:00+00:00, "
        "or UNIX seconds; not 'yesterday'.",
    ),
    ({"field": "chats.assignee", "value": 1}, "A filter is an object with field, operator and value, not "),
    (
        {"field": "chats.assignee", "operator": "=", "value": 1, "op": 2},
        "A filter is an object with field, operator and value, not ",
    ),
    ("chats.assignee=1", "A filter is an object with field, operator and value, not 'chats.assignee=1'."),
    (
        ("chats.assignee", "=", 1),
        "A filter is an object with field, operator and value, not ('chats.assignee', '=', 1).",
    ),
    (None, "A filter is an object with field, operator and value, not None."),
]
METHODS = ("search_chats", "iter_search_chats", "search_chats_page")


@pytest.mark.parametrize(("wrong", "sentence"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_filter_is_one_clear_sentence_and_no_request(
    sandbox: Start, client: Connect, wrong: Any, sentence: str
) -> None:
    account = sandbox(chats=5)
    for method in METHODS:
        with pytest.raises(HelpCrunchConfigurationError) as caught:
            getattr(client(account), method)([Filter("chats.status", "=", "new"), wrong])
        said = str(caught.value)
        assert said.startswith(sentence)
        assert (said.count("\n"), said[-1]) == (0, ".")
    assert account.journal == []


@pytest.mark.parametrize("word", ["XOR", "", "and or", None, True])
def test_a_wrong_comparison_is_refused_before_any_request(sandbox: Start, client: Connect, word: Any) -> None:
    account = sandbox(chats=5)
    for method in METHODS:
        with pytest.raises(
            HelpCrunchConfigurationError, match=f"comparison must be AND or OR, not {word!r}."
        ):
            getattr(client(account), method)([Filter("chats.status", "=", "new")], comparison=word)
    assert account.journal == []


@pytest.mark.parametrize(("word", "written"), [("AND", "AND"), ("OR", "OR"), ("and", "AND"), ("Or", "OR")])
def test_the_word_between_filters_is_always_sent(
    sandbox: Start, client: Connect, word: str, written: str
) -> None:
    account = sandbox(chats=5)
    client(account).search_chats([Filter("chats.status", "=", "new")], comparison=word)
    assert {request.body["comparison"] for request in account.journal} == {written}


def test_and_needs_all_or_needs_one(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=250, agents=5)
    agent = account.agents[0]["id"]
    filters = [Filter("chats.assignee", "=", agent), Filter("chats.status", "=", "closed")]
    theirs = {chat["id"] for chat in account.chats if (chat["assignee"] or {}).get("id") == agent}
    closed = {chat["id"] for chat in account.chats if chat["status"] == "closed"}
    caller = client(account)
    both = {chat["id"] for chat in caller.search_chats(filters, comparison="AND")}
    either = {chat["id"] for chat in caller.search_chats(filters, comparison="OR")}
    assert both == theirs & closed
    assert either == theirs | closed
    assert 0 < len(both) < len(either) < 250


def test_several_tags_in_one_filter_mean_all_of_them(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=250)
    tags = {each["id"]: {tag["name"] for tag in each["tags"]} for each in account.customers}

    def of(wanted: Callable[[set[str]], bool]) -> list[int]:
        return [chat["id"] for chat in account.chats if wanted(tags[chat["customer"]["id"]])]

    caller = client(account)
    both = caller.search_chats([Filter("chats.customer.tagsData", "=", ["vip", "trial"])])
    assert [chat["id"] for chat in both] == of(lambda its: its >= {"vip", "trial"}) != []
    filters = [Filter("chats.customer.tagsData", "=", tag) for tag in ("vip", "trial")]
    either = caller.search_chats(filters, comparison="OR")
    assert [chat["id"] for chat in either] == of(lambda its: bool(its & {"vip", "trial"}))


def test_a_window_of_dates_holds_its_start_and_not_its_end(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=250)
    times = [int(chat["createdAt"]) for chat in account.chats]
    start, end = times[50], times[200]
    as_text = datetime.fromtimestamp(end, UTC).isoformat()
    found = client(account).search_chats(
        [Filter("chats.createdAt", ">=", start), Filter("chats.createdAt", "<", as_text)]
    )
    assert [int(chat["createdAt"]) for chat in found] == [time for time in times if start <= time < end]


def test_a_field_of_older_documentation_is_sent_and_judged_by_helpcrunch(
    sandbox: Start, client: Connect
) -> None:
    account = sandbox(chats=20, updated_at=True)
    assert len(client(account).search_chats([Filter("chats.updatedAt", ">", 0)])) == 20


@pytest.mark.parametrize("word", ["on hold", "onhold", "on-hold", "On Hold"])
def test_a_status_is_searched_in_any_spelling(sandbox: Start, client: Connect, word: str) -> None:
    account = sandbox(chats=60)
    found = client(account).search_chats([Filter("chats.status", "=", word)])
    assert [chat["id"] for chat in found] == [
        chat["id"] for chat in account.chats if chat["status"] == "onhold"
    ]


@QUIET
@given(st.lists(FILTERS, max_size=5), st.sampled_from(["AND", "OR"]))
def test_what_is_written_can_be_given_again_and_stays(filters: list[Filter], word: str) -> None:
    written, comparison = check_filters(filters, word)
    assert check_filters(json.loads(json.dumps(written)), comparison) == (written, comparison)
    assert [(one["field"], one["operator"]) for one in written] == [
        (one.field, one.operator) for one in filters
    ]


HOLDS: dict[str, Callable[[float, float], bool]] = {
    ">": lambda at, bound: at > bound,
    "<": lambda at, bound: at < bound,
    ">=": lambda at, bound: at >= bound,
    "<=": lambda at, bound: at <= bound,
}
MILLISECONDS = st.integers(10**12, 10**12 + 1500)


def rounded(operator: str, bound: int) -> int:
    """Return the seconds that are sent for a bound in milliseconds."""
    asked = f"{bound // 1000}.{bound % 1000:03d}"
    value: int = Filter("chats.closedAt", operator, asked).written()["value"]
    return value


@QUIET
@given(st.sampled_from(sorted(HOLDS)), MILLISECONDS, MILLISECONDS)
def test_rounding_leaves_out_nothing_where_milliseconds_are_compared(
    operator: str, bound: int, at: int
) -> None:
    seconds = rounded(operator, bound)
    if HOLDS[operator](at, bound):
        assert HOLDS[operator](at, seconds * 1000)
    elif bound % 1000 == 0:
        assert not HOLDS[operator](at, seconds * 1000), "whole seconds are exact"


@QUIET
@given(st.sampled_from(sorted(HOLDS)), MILLISECONDS.filter(lambda bound: bound % 1000 > 0), MILLISECONDS)
def test_rounding_leaves_out_nothing_where_whole_seconds_are_compared(
    operator: str, bound: int, at: int
) -> None:
    if HOLDS[operator](at, bound):
        assert HOLDS[operator](at // 1000, rounded(operator, bound))
