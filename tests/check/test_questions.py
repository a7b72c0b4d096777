"""Every question of a check, on every variant of the sandbox: its own settings are the truth."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Any

import pytest
from in_process import client_of

from airflow_provider_helpcrunch.check.answers import Answer
from airflow_provider_helpcrunch.check.interview import RETRY, Interview
from airflow_provider_helpcrunch.check.questions import QUESTIONS, findings
from airflow_provider_helpcrunch.check.replies import Replies, Reply
from airflow_provider_helpcrunch.check.report import as_json, as_text
from airflow_provider_helpcrunch.client.filters import Filter
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.sandbox.settings import OPTIONS, TOTAL_STYLES, Settings

NOW = 1_764_000_000

VARIANTS: dict[str, tuple[Any, ...]] = {
    **{name: option.choices for name, option in OPTIONS.items() if option.choices},
    **{name: (True,) for name, option in OPTIONS.items() if not option.metavar},
    "total": (*TOTAL_STYLES, 5, -5, 1, -1),
    "max_limit": (1, 20, 99, 101, 1000),
    "page_cap": (1, 40, 99, 1000),
    "domain": ("", "shop", "shop.helpcrunch.com", "shop.example"),
    "agents": (0, 1, 2, 99, 100, 101),
    "departments": (0, 1, 200),
    "chats": (0, 1, 2, 99, 100, 101, 150, 500),
    "messages": (1, 150),
    "seed": (2, 3),
    "now": (NOW + 0.5,),
    "canary": ("CANARY",),
    "key": ("another-key",),
    "rate_limit": (None, 20),
    "window": (1.0,),
    "latency": (0.001,),
}
"""Values of each switch that the sandbox does not have by itself."""

EACH_ALONE = [{name: value} for name, values in VARIANTS.items() for value in values]
FEW = {
    "chats": (0, 1, 150),
    "agents": (0, 2),
    "max_limit": (99, 101, 1000),
    "page_cap": (40, 1000),
    "seed": range(9),
}


def mixed(number: int) -> dict[str, Any]:
    """Return some switches at once, drawn from a seed."""
    chance = random.Random(number)
    names = chance.sample([name for name in VARIANTS if name not in ("latency", "window")], 7)
    return {name: chance.choice(list(FEW.get(name, VARIANTS[name]))) for name in names}


def asked(account: Sandbox) -> tuple[dict[str, Answer], str]:
    """Return the answers of an account by the name of the question, and all that a person could see of them."""
    with client_of(account, retry=RETRY) as client:
        found = findings(Interview(client).held())
        requests = client.usage.requests
    assert requests == len(account.journal) <= 20
    assert {entry.method for entry in account.journal} == {"GET", "POST"}
    assert all(entry.path.endswith("/search") for entry in account.requests(method="POST"))
    shown = as_text(found, requests) + as_json(found, requests, client.base_url)
    return {finding.question.name: finding.answer for finding in found}, shown


def test_every_switch_of_the_sandbox_is_varied() -> None:
    assert set(OPTIONS) - set(VARIANTS) == {"port"}


@pytest.mark.parametrize("switches", EACH_ALONE, ids=str)
def test_every_switch_is_seen(switches: dict[str, Any]) -> None:
    compare(switches)


@pytest.mark.parametrize("number", range(25))
def test_any_mixture_of_switches_is_seen(number: int) -> None:
    compare(mixed(number))


def compare(switches: dict[str, Any]) -> None:
    """Compare what a check says of an account with what its settings and its data say."""
    account = Sandbox(**{"now": NOW, **switches})
    settings = Settings(**{"now": NOW, **switches})
    answers, _ = asked(account)
    # Where an account sends too little, it may be that a question has no answer; a wrong one it must not have.
    few = settings.chats < 100 or settings.page_cap < 10 or settings.max_limit < 10
    wrong = {}
    for name, truth in expected(account, settings).items():
        answer = answers[name]
        if answer.verdict == "open" and (few or truth is None or truth == ("open", "")):
            continue
        if truth is None or (answer.verdict, answer.text) != truth:
            wrong[name] = (answer, truth)
    assert wrong == {}
    compare_words(answers, account, settings)
    compare_places(answers, account, settings)
    compare_totals(answers, settings, few=few or settings.ignore_offset)


def members(answer: Answer) -> dict[str, str]:
    """Return what each thing has, by its name, from an answer that groups them."""
    groups = (group.partition(": ") for group in answer.text.split("; "))
    return {name: common for common, _, names in groups for name in names.split(", ")}


def compare_words(answers: dict[str, Answer], account: Sandbox, settings: Settings) -> None:
    page = min(settings.page_cap, settings.max_limit, 100)
    seen = {
        "statuses": {chat["status"] for chat in account.chats},
        "ratings": {chat["rating"] for chat in account.chats},
        "roles": {agent["role"] for agent in account.agents[:page]},
    }
    for name, words in seen.items():
        if answers[name].verdict != "open":
            shown = set(answers[name].text.split(", "))
            assert shown <= words
            assert page < 100 or settings.chats not in range(100, 301) or shown == words - {None}
    if answers["timestamps"].verdict != "open":
        for field, style in members(answers["timestamps"]).items():
            assert style == style_of(field, settings)
    for name in ("timestamps", "envelopes", "sorting", "order_of_team"):
        assert answers[name].verdict in ("holds", "open")
    if answers["order_of_team"].verdict == "holds":
        ids = {"agents": account.agents[:page], "departments": account.departments[:page]}
        by_id = {
            name: records == sorted(records, key=lambda each: each["id"]) for name, records in ids.items()
        }
        assert all(
            by_id[name] is (common == "by id") for name, common in members(answers["order_of_team"]).items()
        )


def style_of(field: str, settings: Settings) -> str:
    if settings.timestamps == "integer":
        return "integer"
    whole = settings.timestamps == "string" and field not in ("closedAt", "messages.createdAt")
    return "text of digits" if whole else "text with a fraction"


def compare_places(answers: dict[str, Answer], account: Sandbox, settings: Settings) -> None:
    usual = {
        **dict.fromkeys(("agents", "departments", "chats"), "in meta"),
        **dict.fromkeys(("customers", "search of customers", "messages"), "at the root"),
        "search of chats": "in meta" if settings.search_total == "meta" else "at the root",
    }
    if settings.total in ("missing", "root"):
        usual = dict.fromkeys(usual, "none" if settings.total == "missing" else "at the root")
    if settings.total == "string":
        usual = {name: f"{place}, as a text" for name, place in usual.items()}
    told = members(answers["place_of_totals"])
    if "messages" not in told:
        del usual["messages"]
    assert told == {**usual, "applications": "none"}


def compare_totals(answers: dict[str, Answer], settings: Settings, *, few: bool) -> None:
    verdict = answers["totals"].verdict
    if settings.total == "missing":
        assert verdict == "open"
    elif settings.total in ("exact", "string", "root"):
        assert verdict == "holds" or (verdict == "open" and few)
    else:
        assert verdict == "contradicted" or few


def expected(account: Sandbox, settings: Settings) -> dict[str, tuple[str, str] | None]:
    """Return verdict and text of what can be said about an account; ``None`` where there is nothing to say."""
    return {
        **expected_of_requests(account, settings),
        **expected_of_lists(account, settings),
        **expected_of_records(account, settings),
    }


def expected_of_requests(account: Sandbox, settings: Settings) -> dict[str, tuple[str, str] | None]:
    searched = ("holds", "finds closed chats") if account.chats else None
    generations = {
        "new": "as newly documented: a general one first, then the specific ones",
        "old": "as formerly documented: one, with a code of its own",
    }
    return {
        "key": ("holds", "accepted"),
        "status_by_word": searched,
        "status_by_number": searched,
        "empty_search": (
            "holds",
            "an empty page with a total above 0"
            if isinstance(settings.total, int) and settings.total > 0
            else "an empty page",
        ),
        "updated_at": ("holds", "accepted" if settings.updated_at else "refused with 400"),
        "missing_chat": ("holds", "404"),
        "errors": ("holds", generations[settings.errors]),
        "retry_after": None,
        "window": None,
        "changes": None,
    }


def expected_of_lists(account: Sandbox, settings: Settings) -> dict[str, tuple[str, str] | None]:
    chats, cap = len(account.chats), min(settings.page_cap, settings.max_limit, 100)
    page = min(chats, cap)
    above = min(101, settings.page_cap, chats)
    plural = "record" if page == 1 else "records"
    return {
        "page_size": ("contradicted", "a limit of 100 is refused")
        if settings.max_limit < 100
        else ("holds", f"100 accepted; {page} chats without a limit"),
        "full_pages": None
        if (chats <= page < 100) or (page < 100 and settings.ignore_offset)
        else ("holds", "100 records, as many as asked for")
        if page == 100
        else ("holds", f"at most {page} {plural}, though 100 were asked for and more follow"),
        "limit_above_100": ("holds", "refused with 400")
        if settings.max_limit < 101
        else ("holds", "obeyed: 101 records")
        if above == 101
        else ("holds", f"accepted, and cut to {above} record{'s' * (above != 1)}")
        if above < chats
        else None,
        "offset": ("contradicted", "ignored: each page is the first one")
        if settings.ignore_offset and chats
        else ("holds", "obeyed")
        if chats
        else None,
        "offset_behind_the_end": ("contradicted", "2 records")
        if settings.ignore_offset and chats
        else ("holds", "an empty page"),
        "default_order": ("holds", "newest first"),
        "order_of_messages": ("holds", "newest first"),
    }


def expected_of_records(account: Sandbox, settings: Settings) -> dict[str, tuple[str, str] | None]:
    first = sorted(account.customers, key=lambda customer: (float(customer["firstSeen"]), customer["id"]))
    data = [customer["customData"] for customer in first[: min(settings.page_cap, settings.max_limit, 100)]]
    kinds = {
        "object" if isinstance(each, dict) else "array of property and value" if each else "empty array"
        for each in data
    }
    old = settings.shape == "old"
    on_hold = any(chat["status"] == settings.on_hold for chat in account.chats)
    domains = {"shop": "a name alone", "shop.helpcrunch.com": "a host of helpcrunch.com"}
    no_addresses = "so chats have no addresses unless the connection has an inbox_domain"
    none = f"no host of helpcrunch.com, {no_addresses}" if settings.domain else f"none, {no_addresses}"
    return {
        "on_hold": ("holds", settings.on_hold) if on_hold else None,
        "custom_data": ("holds", ", ".join(sorted(kinds))),
        "chat_fields": (
            "holds",
            "without applicationId, createdWith, readByAgent, readByCustomer" if old else "as documented",
        ),
        "customer_fields": ("holds", "without createdFrom, integrationId" if old else "as documented"),
        "domain": ("holds", domains.get(settings.domain, none)),
    }


# What the sandbox's switches do not vary


def told(account: Sandbox, name: str) -> tuple[str, str]:
    answer = asked(account)[0][name]
    return answer.verdict, answer.text


def test_filters_that_are_ignored_contradict() -> None:
    account = Sandbox(faults=[Fault("ignore_filter", times=0)])
    answers, shown = asked(account)
    for name in ("status_by_word", "empty_search"):
        assert answers[name].verdict == "contradicted"
    assert "Searches by status cannot be trusted here." in shown


def test_an_order_that_changes_contradicts() -> None:
    account = Sandbox(faults=[Fault("shuffle", path="/v1/chats", times=0)])
    assert told(account, "sorting") == (
        "contradicted",
        "ignored: chats by createdAt; obeyed: customers by firstSeen",
    )


def test_messages_that_are_not_newest_first_contradict() -> None:
    account = Sandbox(messages=30, faults=[Fault("shuffle", path="/v1/chats/*/messages", times=0)])
    assert told(account, "order_of_messages") == ("contradicted", "not newest first")


def test_a_search_that_finds_nothing_may_be_answered_404() -> None:
    account = Sandbox(faults=[Fault("status", status=404, path="/v1/chats/search", nth=3)])
    assert told(account, "empty_search") == ("holds", "404")


@pytest.mark.parametrize("total", [5, "high", "missing"])
def test_what_is_said_of_an_empty_search_is_what_the_client_does(total: Any) -> None:
    account = Sandbox(now=NOW, rate_limit=None, total=total)
    assert told(account, "empty_search")[0] == "holds"
    assert client_of(account).search_chats([Filter("chats.createdAt", "<", 0)]) == []


def test_a_search_for_a_word_that_finds_nothing_contradicts() -> None:
    account = Sandbox(faults=[Fault("empty_page", path="/v1/chats/search")])
    assert told(account, "status_by_word") == (
        "contradicted",
        "nothing found, although there are closed chats",
    )


def test_a_word_that_is_refused_contradicts() -> None:
    account = Sandbox(faults=[Fault("status", status=400, path="/v1/chats/search")])
    assert told(account, "status_by_word") == ("contradicted", "refused with 400")


def test_an_offset_behind_the_end_that_is_refused_contradicts() -> None:
    account = Sandbox(faults=[Fault("status", status=400, path="/v1/chats", offset=1_000_000_000)])
    assert told(account, "offset_behind_the_end") == ("contradicted", "refused with 400")


def test_another_status_for_an_unknown_chat_contradicts() -> None:
    account = Sandbox(faults=[Fault("status", status=403, path="/v1/chats/2147483647")])
    assert told(account, "missing_chat") == ("contradicted", "403")


@pytest.mark.parametrize("kind", ["no_data", "data_null", "data_object", "no_ids"])
def test_a_list_that_cannot_be_read_contradicts(kind: str) -> None:
    account = Sandbox(faults=[Fault(kind, path="/v1/departments", times=0)])
    assert told(account, "envelopes") == ("contradicted", "no list of records that can be read: departments")


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_list_that_is_refused_contradicts(status: int) -> None:
    account = Sandbox(faults=[Fault("status", status=status, path="/v1/customers", times=0)])
    assert told(account, "envelopes") == ("contradicted", f"refused with {status}: customers")


def test_headers_about_the_rate_limit_are_named() -> None:
    account = Sandbox()
    adapter = account.adapter()
    send = adapter.send

    def with_headers(*arguments: Any, **named: Any) -> Any:
        response = send(*arguments, **named)
        response.headers.update({"X-RateLimit-Remaining": "7", "X-Owner": "Ada"})
        return response

    adapter.send = with_headers  # type: ignore[method-assign]
    with client_of(account, retry=RETRY, http_adapter=adapter) as client:
        found = {each.question.name: each.answer.text for each in findings(Interview(client).held())}
    assert found["limit_headers"] == "x-ratelimit-remaining in 17 responses"


@pytest.mark.parametrize(
    "path", ["/v1/chats", "/v1/chats/*", "/v1/customers", "/v1/departments", "/v1/organization"]
)
@pytest.mark.parametrize(
    "kind",
    [
        "status",
        "echo_key",
        "html",
        "garbage",
        "errors",
        "redirect",
        "reset",
        "truncate",
        "duplicate_rows",
        "empty_page",
    ],
)
def test_no_fault_of_one_request_ends_a_check(kind: str, path: str) -> None:
    account = Sandbox(canary="CANARY", faults=[Fault(kind, path=path, times=0)])
    answers, shown = asked(account)
    assert len(answers) == len(QUESTIONS)
    assert "CANARY" not in shown
    assert account.key not in shown
    changes = {name for name, answer in answers.items() if answer.text.startswith("HelpCrunch answered 500")}
    assert kind == "status" or not changes


# Whose data it is


def test_nothing_of_a_person_is_shown() -> None:
    account = Sandbox(canary="CANARY", domain="shop", chats=150)
    _, shown = asked(account)
    chat = account.chats[0]["id"]
    assert "CANARY" not in shown
    assert account.key not in shown
    assert '"shop"' not in shown
    ids = {
        each["id"] for name in ("agents", "departments", "customers", "chats") for each in account.truth(name)
    }
    assert chat in ids
    assert not {word for word in re.findall(r"[0-9]{3,}", shown) if int(word) in ids}


def replies_with(**changed: Any) -> Replies:
    account = Sandbox(chats=150)
    with client_of(account, retry=RETRY) as client:
        return replace(Interview(client).held(), **changed)


@pytest.mark.parametrize(
    ("name", "field", "record", "verdict", "text"),
    [
        ("roles", "agents", {"id": 1, "role": "Ada's crew"}, "holds", "only 1 of the account's own"),
        ("roles", "agents", {"id": 1, "role": {"name": "Ada"}}, "holds", "only 1 of the account's own"),
        ("statuses", "newest", {"id": 1, "status": "waiting"}, "contradicted", "waiting"),
        ("statuses", "newest", {"id": 1, "status": 3}, "contradicted", "3"),
        (
            "statuses",
            "newest",
            {"id": 1, "status": "ada@shop.example"},
            "contradicted",
            "a text that is no word",
        ),
        ("ratings", "newest", {"id": 1, "rating": "superb"}, "holds", "1 of the account's own"),
        ("timestamps", "newest", {"id": 1, "createdAt": "2026-01-31"}, "contradicted", "unreadable"),
        ("chat_fields", "newest", {"id": 1, "subject": "Ada", "ada@shop.example": 1}, "holds", "subject"),
        ("custom_data", "customers", {"id": 1, "customData": "Ada"}, "contradicted", "something else"),
    ],
)
def test_words_that_no_documentation_has(name: str, field: str, record: Any, verdict: str, text: str) -> None:
    found = findings(replies_with(**{field: Reply(200, {"data": [record]})}))
    answer = next(each.answer for each in found if each.question.name == name)
    assert answer.verdict == verdict
    assert text in answer.text
    shown = as_text(found, 1) + as_json(found, 1, "https://api.helpcrunch.com/v1")
    assert "Ada" not in shown
    assert "ada@" not in shown


def test_ids_may_be_texts() -> None:
    honest = replies_with()
    lists = {
        name: Reply(
            200, {"data": [{**record, "id": str(record["id"])} for record in getattr(honest, name).records]}
        )
        for name in ("newest", "oldest", "last", "closed", "numbered", "above")
    }
    answers = {each.question.name: each.answer for each in findings(replace(honest, **lists))}
    assert answers["status_by_word"].text == "finds closed chats"
    assert answers["offset"].text == "obeyed"
    assert {answer.verdict for answer in answers.values()} == {"holds", "open"}


# The rate limit


@pytest.mark.parametrize(("header", "text"), [(True, "sent with a 429"), (False, "a 429 came without it")])
def test_a_check_ends_with_what_it_knows_where_the_limit_is_used_up(header: bool, text: str) -> None:
    account = Sandbox(rate_limit=10, retry_after=header)
    answers, shown = asked(account)
    assert (answers["retry_after"].verdict, answers["retry_after"].text) == ("holds", text)
    assert account.count(429) == 1
    assert len(account.journal) == 11
    assert "the account's rate limit was used up; check again when fewer requests are sent" in shown


@pytest.mark.slow
def test_refusals_count_among_the_twenty_requests() -> None:
    refusal = Fault("status", status=429, retry_after="0", nth=17, times=0)
    account = Sandbox(max_limit=99, faults=[refusal])
    answers, _ = asked(account)
    assert len(account.journal) <= 20
    assert answers["retry_after"].text == "sent with a 429"


def test_a_check_waits_for_other_tasks_but_not_for_ever() -> None:
    account = Sandbox()
    waits: list[float] = []
    with client_of(account, requests=5, retry=RETRY) as client:
        found = findings(Interview(client, waits.append).held())
    assert len(account.journal) == 5
    assert waits == []  # an hour is more than a check waits
    assert len(found) == len(QUESTIONS)
