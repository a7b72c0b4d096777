"""Reading chats: one, all, and those that a search finds; what is asked, and answers in every documented shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from answering_server import AnsweringServer, Asked

from airflow_provider_helpcrunch.client import Filter, HelpCrunchClient
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchAuthError,
    HelpCrunchBadRequestError,
    HelpCrunchConfigurationError,
    HelpCrunchNotFoundError,
    HelpCrunchPaginationError,
    HelpCrunchResponseError,
)
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

Start = Callable[..., Sandbox]
Connect = Callable[..., HelpCrunchClient]

SEARCH = "/v1/chats/search"
NOT_CLOSED = [Filter("chats.status", "!=", "closed")]
MISSING = (404, {"errors": [{"code": "not_found", "message": "Chat not found"}]})


def as_sent(chats: list[Any]) -> list[dict[str, Any]]:
    """Return chats of the client without what it adds, and with the words that came."""
    names = {"status": "statusRaw", "rating": "ratingRaw"}
    return [
        {name: chat[names.get(name, name)] for name in chat if name not in names.values()} for chat in chats
    ]


# One chat


@pytest.mark.parametrize("chat_id", [4410007, "4410007"])
def test_one_chat_is_one_request(sandbox: Start, client: Connect, chat_id: Any) -> None:
    account = sandbox(chats=10)
    chat = client(account).get_chat(chat_id)
    assert as_sent([chat]) == [account.chat(4410007)]
    (request,) = account.journal
    assert (request.method, request.path, request.query, request.body) == (
        "GET",
        "/v1/chats/4410007",
        {},
        None,
    )


@pytest.mark.parametrize("chat_id", [0, -1, 1.0, True, None, "", "7 ", "x", "7/messages", "٧", 2**63, [7]])
def test_what_is_no_id_is_refused_before_any_request(sandbox: Start, client: Connect, chat_id: Any) -> None:
    account = sandbox(chats=1)
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        client(account).get_chat(chat_id)
    assert str(caught.value) == f"chat_id must be a HelpCrunch id, a whole number above 0, not {chat_id!r}."
    assert account.journal == []


@pytest.mark.parametrize("generation", ["new", "old"])
def test_a_chat_that_does_not_exist(sandbox: Start, client: Connect, generation: Any) -> None:
    account = sandbox(chats=1, errors=generation)
    with pytest.raises(HelpCrunchNotFoundError, match=r"GET /chats/99: HelpCrunch answered 404: .*not found"):
        client(account).get_chat(99)
    assert len(account.journal) == 1


@pytest.mark.parametrize("payload", [{"id": 7, "x": 1}, {"data": {"id": 7, "x": 1}}, {"id": "7", "x": 1}])
def test_a_chat_alone_or_under_data(client: Connect, payload: Any) -> None:
    with AnsweringServer(lambda _: payload) as server:
        chat = client(server).get_chat(7)
    assert (chat["id"], chat["x"], chat["statusRaw"]) == (7, 1, None)  # type: ignore[typeddict-item]


def test_an_old_chat_has_fewer_fields(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=3, shape="old")
    chat = client(account).get_chat(account.chats[0]["id"])
    assert chat["id"] == account.chats[0]["id"]
    assert "createdWith" not in chat


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ({"id": 8}, "the body holds the chat 8"),
        ({"data": {"id": 8}}, "the body holds the chat 8"),
        ({"data": [{"id": 7}]}, "the body holds no chat"),
        ([{"id": 7}], "the body holds no chat"),
        ({"data": None}, "the body holds no chat"),
        ({"data": 7}, "the body holds no chat"),
        ({"id": True}, "the body holds no chat"),
        ({"id": None}, "the body holds no chat"),
        ({}, "the body holds no chat"),
        ("Ok", "the body holds no chat"),
        (None, "the body holds no chat"),
        ({"id": 7, "errors": [{"code": "oops", "message": "No"}]}, "the body reports errors: oops: No"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_is_not_that_chat_is_asked_for_again_and_then_loud(
    client: Connect, payload: Any, problem: str
) -> None:
    with (
        AnsweringServer(lambda _: payload) as server,
        pytest.raises(HelpCrunchResponseError) as caught,
    ):
        client(server).get_chat(7)
    assert str(caught.value) == f"GET /chats/7: HelpCrunch answered 200, but {problem}."
    assert len(server.asked) == caught.value.attempts == 6


def test_the_right_chat_after_a_wrong_one(client: Connect) -> None:
    with AnsweringServer(lambda _: {"id": 8 if len(server.asked) == 1 else 7}) as server:
        assert client(server).get_chat(7)["id"] == 7
    assert len(server.asked) == 2


@pytest.mark.parametrize("kind", ["reset", "truncate", "html", "garbage", "errors", "status", "close"])
def test_a_passing_fault_of_one_chat_is_survived(sandbox: Start, client: Connect, kind: str) -> None:
    account = sandbox(chats=3, faults=[Fault(kind, chat=4410002)])
    assert client(account).get_chat(4410002)["id"] == 4410002
    assert len(account.journal) == 2


# All chats


@pytest.mark.parametrize(("size", "requests"), [(0, 2), (1, 1), (100, 2), (101, 2), (250, 3), (1000, 11)])
def test_all_chats_come_once_oldest_first_for_the_fewest_requests(
    sandbox: Start, client: Connect, size: int, requests: int
) -> None:
    account = sandbox(chats=size)
    listing = client(account).iter_chats()
    assert as_sent(list(listing)) == account.chats
    assert (listing.total, listing.records, listing.warnings) == (size, size, [])
    assert len(account.journal) == requests
    for request in account.journal:
        assert (request.method, request.path, request.body) == ("GET", "/v1/chats", None)
        assert request.query == {
            "sort": "chats.createdAt",
            "order": "asc",
            "offset": str(request.offset),
            "limit": "100",
        }


@pytest.mark.parametrize("total", ["missing", "zero", "string", "low", "high", "root", 1, -1])
def test_no_total_is_trusted_to_end_a_list_of_chats(sandbox: Start, client: Connect, total: Any) -> None:
    account = sandbox(chats=250, total=total)
    assert as_sent(client(account).list_chats()) == account.chats


def test_chats_that_come_in_while_all_are_listed(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=500, faults=[Fault("arrive", rows=3, path="/v1/chats", times=0)])
    before = [chat["id"] for chat in account.chats]
    got = [chat["id"] for chat in client(account).iter_chats()]
    assert (len(got), got[:500]) == (len(set(got)), before)


def test_an_order_that_changes_between_pages_of_chats_is_loud(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=500, faults=[Fault("shuffle", times=0)])
    with pytest.raises(HelpCrunchPaginationError, match="order of the records changed"):
        client(account).list_chats()


def test_a_wrong_key_is_no_empty_account(sandbox: Start, client: Connect) -> None:
    caller = client(sandbox(chats=5), key="wrong-key")
    for read in (caller.list_chats, caller.search_chats, lambda: caller.get_chat(4410001)):
        with pytest.raises(HelpCrunchAuthError):
            read()


# Searches


def test_what_a_search_asks_on_every_page(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=700)
    found = client(account).search_chats(NOT_CLOSED)
    assert as_sent(found) == [chat for chat in account.chats if chat["status"] != "closed"]
    assert len(found) > 250
    offsets = sorted(request.offset or 0 for request in account.journal)  # several are under way at a time
    assert offsets == [99 * page for page in range(len(account.journal))]
    for request in account.journal:
        assert (request.method, request.path, request.query) == ("POST", SEARCH, {})
        assert request.body == {
            "filter": [{"field": "chats.status", "operator": "!=", "value": "closed"}],
            "comparison": "AND",
            "sort": "chats.createdAt",
            "order": "asc",
            "offset": request.offset,
            "limit": 100,
        }


def test_a_search_without_a_filter_finds_all_and_sends_one_all_the_same(
    sandbox: Start, client: Connect
) -> None:
    account = sandbox(chats=120)
    assert as_sent(client(account).search_chats()) == account.chats
    assert account.journal[0].body["filter"] == [{"field": "chats.createdAt", "operator": ">=", "value": 0}]


@pytest.mark.parametrize("place", ["root", "meta"])
@pytest.mark.parametrize("total", ["exact", "string", "missing", "zero", "low", "high", 1, -1])
def test_a_search_is_complete_wherever_and_however_its_total_is_told(
    sandbox: Start, client: Connect, place: Any, total: Any
) -> None:
    account = sandbox(chats=280, search_total=place, total=total)
    assert as_sent(client(account).search_chats()) == account.chats


@pytest.mark.parametrize("page_size", [1, 2, 50, 100])
def test_page_sizes_of_a_search(sandbox: Start, client: Connect, page_size: int) -> None:
    account = sandbox(chats=120)
    assert len(client(account).search_chats(page_size=page_size)) == 120
    assert {request.body["limit"] for request in account.journal} == {max(page_size, 2)}


@pytest.mark.parametrize("page_size", [0, -1, 101])
def test_a_wrong_page_size_is_refused_before_the_first_request_for_chats(
    sandbox: Start, client: Connect, page_size: int
) -> None:
    account = sandbox(chats=5)
    caller = client(account)
    for read in (
        caller.iter_chats,
        caller.list_chats,
        caller.iter_search_chats,
        caller.search_chats,
        lambda **size: caller.iter_active_chats(0, **size),
    ):
        with pytest.raises(HelpCrunchConfigurationError, match="page_size must be 1 to 100"):
            read(page_size=page_size)
    assert account.journal == []


def test_one_page_of_a_search_is_one_request(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=50)
    page = client(account).search_chats_page(offset=10, limit=20)
    assert as_sent(page.records) == account.chats[10:30]
    assert (page.ids, page.total) == ([chat["id"] for chat in account.chats[10:30]], 50)
    (request,) = account.journal
    assert (request.body["offset"], request.body["limit"]) == (10, 20)


@pytest.mark.parametrize(("offset", "limit"), [(0, 0), (0, 101), (0, -1), (-1, 10)])
def test_a_page_that_helpcrunch_does_not_serve_is_refused_before_any_request(
    sandbox: Start, client: Connect, offset: int, limit: int
) -> None:
    account = sandbox(chats=5)
    with pytest.raises(HelpCrunchConfigurationError):
        client(account).search_chats_page(offset=offset, limit=limit)
    assert account.journal == []


def test_a_search_that_helpcrunch_refuses_is_sent_once(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=5)  # of the newest documentation, which knows no chats.updatedAt
    with pytest.raises(HelpCrunchBadRequestError, match=r"filter\[0\].field"):
        client(account).search_chats([Filter("chats.updatedAt", ">", 0)])
    assert len(account.journal) == 1


@pytest.mark.parametrize("kind", ["empty_page", "duplicate_rows", "status", "html", "reset", "no_data"])
@pytest.mark.parametrize("nth", [1, 2])
def test_passing_faults_of_a_search_are_survived(
    sandbox: Start, client: Connect, kind: str, nth: int
) -> None:
    account = sandbox(chats=280, faults=[Fault(kind, path=SEARCH, nth=nth)])
    assert as_sent(client(account).search_chats()) == account.chats


# A search that is answered 404


def test_an_empty_search_answered_404_means_no_chats(client: Connect) -> None:
    def answer(asked: Asked) -> Any:
        finds_nothing = asked.path == SEARCH and asked.body["filter"][0]["field"] == "chats.status"
        return MISSING if finds_nothing else {"data": [{"id": 1}], "meta": {"total": 1}}

    with AnsweringServer(answer) as server:
        caller = client(server)
        page = caller.search_chats_page(NOT_CLOSED)
        assert (page.records, page.ids, page.total) == ([], [], None)
        assert caller.search_chats(NOT_CLOSED) == []
    # As asked, a search for every chat, and once more as asked.
    assert len(server.asked) == 3 * 3  # a page, a listing, and the look behind its end


def test_a_wrong_address_where_everything_is_404_is_no_empty_search(client: Connect) -> None:
    with AnsweringServer(lambda _: MISSING) as server:
        for read in (client(server).search_chats, client(server).search_chats_page):
            with pytest.raises(HelpCrunchNotFoundError, match="check the API URL"):
                read(NOT_CLOSED)
    assert len(server.asked) == 2 * 3  # as asked, a search for every chat, and the list of all


def test_an_address_that_the_sandbox_does_not_know_is_an_error(sandbox: Start, client: Connect) -> None:
    account = sandbox(chats=5)
    caller = client(account, base_url=account.url.replace("/v1", "/v1/v1"))
    for read in (caller.search_chats, caller.list_chats, lambda: caller.get_chat(4410001)):
        with pytest.raises(HelpCrunchNotFoundError):
            read()


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_404_in_the_middle_of_a_search_loses_nothing(sandbox: Start, client: Connect, nth: int) -> None:
    account = sandbox(chats=280, total="missing", faults=[Fault("status", status=404, path=SEARCH, nth=nth)])
    assert as_sent(client(account).search_chats()) == account.chats


def test_a_search_of_an_account_that_has_chats_may_not_be_missing_altogether(
    sandbox: Start, client: Connect
) -> None:
    account = sandbox(chats=5, faults=[Fault("status", status=404, path=SEARCH, times=0)])
    with pytest.raises(HelpCrunchNotFoundError):
        client(account).search_chats()


def test_a_search_whose_second_look_fails_for_good_is_no_empty_search(
    sandbox: Start, client: Connect
) -> None:
    faults = [
        Fault("status", status=404, path=SEARCH, nth=1),
        Fault("status", status=401, path=SEARCH, nth=2),
    ]
    with pytest.raises(HelpCrunchAuthError):
        client(sandbox(chats=5, faults=faults)).search_chats()
