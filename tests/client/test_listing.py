"""Listings over real HTTP: sizes, totals, caps, odd pages, and accounts that change while they are listed."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_helpcrunch.client import HelpCrunchClient, Listing
from airflow_provider_helpcrunch.client.pages import ListRequest
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchPaginationError
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

Start = Callable[..., Sandbox]
Connect = Callable[..., HelpCrunchClient]


def ids(records: Any) -> list[int]:
    """Return the ids of records, in order."""
    return [record["id"] for record in records]


@pytest.mark.parametrize("size", [0, 1, 2, 4, 99, 100, 101, 199, 200, 12_345])
def test_all_agents_come_once_in_order_for_the_fewest_requests(
    sandbox: Start, client: Connect, size: int
) -> None:
    account = sandbox(agents=size)
    listing = client(account).iter_agents()
    assert list(listing) == account.agents
    full_at_the_end = size > 1 and size % 99 == 1
    assert len(account.journal) == max(1, math.ceil((size - 1) / 99)) + (full_at_the_end or not size)
    assert (listing.warnings, listing.total, listing.records) == ([], size, size)


def test_the_public_example_four_agents_under_a_total_of_five(sandbox: Start, client: Connect) -> None:
    account = sandbox(agents=4, total=1)
    listing = client(account).iter_agents()
    assert list(listing) == account.agents
    assert listing.warnings == ["HelpCrunch reports 5 records, but the list ends after 4."]


@pytest.mark.parametrize("total", ["missing", "zero", "string", "low", "high", "root", 1, -1])
@pytest.mark.parametrize("size", [1, 4, 100, 250, 1000])
def test_no_total_is_trusted_to_end_a_listing(sandbox: Start, client: Connect, size: int, total: Any) -> None:
    account = sandbox(agents=size, total=total)
    listing = client(account).iter_agents()
    assert list(listing) == account.agents
    told = {"zero": 0, "low": size // 2, "high": size + size // 2, 1: size + 1, -1: size - 1}.get(total, size)
    assert bool(listing.warnings) == (told != size)


@pytest.mark.parametrize("cap", [2, 7, 50])
def test_a_server_that_sends_fewer_rows_than_asked_for(sandbox: Start, client: Connect, cap: int) -> None:
    account = sandbox(agents=120, page_cap=cap)
    assert client(account).list_agents() == account.agents


@pytest.mark.parametrize("page_size", [1, 2, 3, 99, 100])
def test_every_page_size(sandbox: Start, client: Connect, page_size: int) -> None:
    account = sandbox(agents=101)
    assert client(account).list_agents(page_size=page_size) == account.agents
    assert {request.query["limit"] for request in account.journal} == {str(max(page_size, 2))}


@pytest.mark.parametrize("page_size", [0, -1, 101])
def test_a_wrong_page_size_is_refused_before_the_first_request(
    sandbox: Start, client: Connect, page_size: int
) -> None:
    account = sandbox(agents=5)
    with pytest.raises(HelpCrunchConfigurationError, match="page_size must be 1 to 100"):
        client(account).list_agents(page_size=page_size)
    assert account.journal == []


@pytest.mark.parametrize("total", ["exact", "missing", "zero", "high"])
def test_an_ignored_offset_is_loud(sandbox: Start, client: Connect, total: Any) -> None:
    account = sandbox(agents=1000, ignore_offset=True, total=total)
    with pytest.raises(HelpCrunchPaginationError, match="ignored the offset"):
        client(account).list_agents()
    assert len(account.journal) < 60


@pytest.mark.parametrize("size", [1, 2, 50, 250])
def test_the_older_documentation_without_any_paging(size: int) -> None:
    """No total, and the whole list whatever offset and limit are: complete, and not an ignored offset."""
    rows = [{"id": number} for number in range(size)]
    listing: Listing[Any] = Listing(
        lambda offset, *_, **__: ListRequest("GET", "/agents").read({"data": rows}, offset=offset)
    )
    assert list(listing) == rows


def test_one_record_a_page_cannot_be_joined_and_is_loud(sandbox: Start, client: Connect) -> None:
    account = sandbox(agents=5, page_cap=1)
    with pytest.raises(HelpCrunchPaginationError, match="too few records per page"):
        client(account).list_agents()


@pytest.mark.parametrize("kind", ["empty_page", "duplicate_rows"])
@pytest.mark.parametrize("nth", [1, 2, 5])
def test_odd_pages_in_the_middle(sandbox: Start, client: Connect, kind: str, nth: int) -> None:
    account = sandbox(agents=1000, faults=[Fault(kind, nth=nth)])
    assert client(account).list_agents() == account.agents


@pytest.mark.parametrize("rows", [1, 2, 50])
@pytest.mark.parametrize("nth", [1, 2, 5])
@pytest.mark.parametrize("total", ["exact", "missing", "high"])
def test_a_short_page_in_the_middle(sandbox: Start, client: Connect, rows: int, nth: int, total: Any) -> None:
    account = sandbox(agents=1000, total=total, faults=[Fault("short_page", nth=nth, rows=rows)])
    assert client(account).list_agents() == account.agents


@pytest.mark.parametrize("change", ["insert", "delete"])
@pytest.mark.parametrize("at", ["front", "random", "end"])
@pytest.mark.parametrize(("rows", "nth", "times"), [(50, 4, 1), (1, 1, 0), (3, 2, 0), (250, 5, 1)])
def test_rows_that_come_and_go_while_paging(
    sandbox: Start, client: Connect, change: str, at: Any, rows: int, nth: int, times: int
) -> None:
    account = sandbox(agents=1000, faults=[Fault(change, rows=rows, at=at, nth=nth, times=times)])
    before = set(ids(account.agents))
    got = ids(client(account).iter_agents())
    assert len(got) == len(set(got))
    assert before & set(ids(account.agents)) <= set(got)


def test_an_order_that_changes_between_pages_is_loud(sandbox: Start, client: Connect) -> None:
    account = sandbox(agents=1000, faults=[Fault("shuffle", times=0)])
    with pytest.raises(HelpCrunchPaginationError, match="order of the records changed"):
        client(account).list_agents()


def test_pages_are_fetched_eight_at_a_time_over_kept_connections(sandbox: Start, client: Connect) -> None:
    account = sandbox(agents=2000, latency=0.4)
    assert len(client(account).list_agents()) == 2000
    arrivals = sorted(request.at for request in account.journal)
    in_flight = max(sum(0 <= other - one < 0.4 for other in arrivals) for one in arrivals)
    assert 5 <= in_flight <= 8
    assert len({request.peer for request in account.journal}) <= 9


def test_a_listing_that_is_closed_early_leaves_no_thread_and_sends_no_more(
    sandbox: Start, client: Connect
) -> None:
    account = sandbox(agents=4000)
    listing = client(account).iter_agents()
    for _ in range(150):
        next(listing)
    listing.close()
    for thread in threading.enumerate():
        if thread.name.startswith("helpcrunch-page"):
            thread.join(60)
            assert not thread.is_alive()
    assert len(account.journal) <= 2 + 8
    assert list(listing) == []


def test_departments_carry_their_agents(sandbox: Start, client: Connect) -> None:
    account = sandbox(agents=20, departments=3)
    assert client(account).list_departments() == account.departments
    assert all(department["agents"] for department in account.departments)


def test_organization_is_one_request(sandbox: Start, client: Connect) -> None:
    account = sandbox()
    assert client(account).get_organization().keys() == {"id", "domain", "teamOnline", "chatEnabled"}
    assert [request.path for request in account.journal] == ["/v1/organization"]
