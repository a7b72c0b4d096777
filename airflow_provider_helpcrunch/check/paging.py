"""Questions about lists: pages, totals and orders."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.check.answers import (
    Answer,
    Question,
    contradicted,
    grouped,
    unanswered,
    without_page,
)
from airflow_provider_helpcrunch.check.replies import moments
from airflow_provider_helpcrunch.client.cursor import LARGEST_PAGE
from airflow_provider_helpcrunch.plurals import counted

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_helpcrunch.check.replies import Replies, Reply


def _lists(replies: Replies) -> dict[str, Reply]:
    """Return one reply of each list that the account has, by its name."""
    found = {
        "agents": replies.agents,
        "departments": replies.departments,
        "applications": replies.applications,
        "chats": replies.oldest,
        "search of chats": replies.nothing if replies.before is None else replies.closed,
        "customers": replies.customers,
        "search of customers": replies.found_customers,
        "messages": replies.messages,
    }
    return {name: reply for name, reply in found.items() if not reply.problem}


def _page_size(replies: Replies) -> Answer:
    if replies.limit is None:
        return contradicted(
            f"a limit of {LARGEST_PAGE} is refused",
            "Give operators that list a smaller page_size. Those that change chats have none, and fail here.",
        )
    return Answer(f"{LARGEST_PAGE} accepted; {len(replies.newest.records)} chats without a limit")


def _full_pages(replies: Replies) -> Answer:
    page, asked = replies.oldest.page, replies.limit or LARGEST_PAGE
    if page is None:
        return unanswered(without_page(replies.oldest))
    if len(page) >= asked:
        return Answer(f"{len(page)} records, as many as asked for")
    if replies.last.page is not None and not set(replies.last.page.ids) <= set(page.ids):
        return Answer(
            f"at most {counted(len(page), 'record')}, though {asked} were asked for and more follow"
        )
    return unanswered(f"{counted(len(page), 'chat')} on the first page, and no other was seen")


def _limit_above(replies: Replies) -> Answer:
    above, seen = replies.above, len(replies.chats)
    if above.is_refusal:
        return Answer(f"refused with {above.status}")
    if above.page is None:
        return unanswered(without_page(above))
    if len(above.page) > LARGEST_PAGE:
        return Answer(f"obeyed: {len(above.page)} records")
    if seen > len(above.page):
        return Answer(f"accepted, and cut to {counted(len(above.page), 'record')}")
    return unanswered(f"accepted, but {counted(seen, 'chat')} cannot show whether it is obeyed")


def _is_offset_ignored(replies: Replies) -> bool:
    first, last = replies.oldest.records, replies.last.records
    return bool(first and last and first[0]["id"] == last[0]["id"])


def _offset(replies: Replies) -> Answer:
    if not replies.oldest.records:
        return unanswered("there is no chat")
    if replies.last.is_refusal:
        return contradicted(
            f"refused with {replies.last.status}", "Lists longer than one page cannot be read."
        )
    if replies.last.page is None:
        return unanswered(without_page(replies.last))
    if _is_offset_ignored(replies) or replies.beyond.records:
        return contradicted(
            "ignored: each page is the first one",
            "Lists longer than one page cannot be read: the task fails and says so.",
        )
    return Answer("obeyed")


def _beyond(replies: Replies) -> Answer:
    beyond = replies.beyond
    if beyond.is_refusal:
        return contradicted(
            f"refused with {beyond.status}",
            "A list from which records are deleted while it is read may fail; a retry of the task reads it anew.",
        )
    if beyond.page is None:
        return unanswered(without_page(beyond))
    if beyond.records:
        return contradicted(
            counted(len(beyond.records), "record"),
            "The end of a list cannot be found: the task fails and says so.",
        )
    return Answer("an empty page")


def _place_of_totals(replies: Replies) -> Answer:
    places = {name: reply.place_of_total for name, reply in _lists(replies).items() if reply.page is not None}
    return Answer(grouped(places)) if places else unanswered("no list could be read")


def _totals(replies: Replies) -> Answer:
    """Compare totals with what can be counted: whole lists, and the rows where a total says that the end is."""
    judged = {
        name: "right" if reply.total == len(reply.records) else "wrong"
        for name, reply in _lists(replies).items()
        if _is_whole(reply, replies) and reply.total is not None
    }
    last = replies.last
    if last.total is not None and not _is_offset_ignored(replies):
        offset = max((replies.oldest.total or 0) - 1, 1)
        most = len(replies.newest.records) if replies.limit is None else 2
        judged["chats"] = "right" if len(last.records) == min(max(last.total - offset, 0), most) else "wrong"
    if not judged:
        return unanswered("no total was sent that can be counted")
    if "wrong" not in judged.values():
        return Answer(grouped(judged))
    return contradicted(
        grouped(judged),
        "Lists are complete nevertheless, with a warning and a few more requests; to count an agent's open chats, all "
        "of them are read.",
    )


def _is_whole(reply: Reply, replies: Replies) -> bool:
    """Return whether a page must be the whole list: a longer one was seen, so it was not cut."""
    if reply.page is None or reply is replies.found_customers:  # of these, two were asked for
        return False
    paged = [
        replies.newest,
        *(other for other in _lists(replies).values() if other is not replies.applications),
    ]
    return len(reply.page) < max(len(other.records) for other in paged)


def _envelopes(replies: Replies) -> Answer:
    lists = _lists(replies)
    wrong = {name: without_page(reply) for name, reply in lists.items() if reply.page is None}
    organization = replies.organization
    if organization.is_refusal:
        wrong["organization"] = without_page(organization)
    if wrong:
        return contradicted(grouped(wrong), "What cannot be read here fails with an error that says so.")
    shapes = {name: _shape(reply) for name, reply in lists.items()}
    if organization.is_success:
        body = organization.payload
        is_below = isinstance(body, dict) and isinstance(body.get("data"), dict)
        shapes["organization"] = "an object below data" if is_below else "an object at the root"
    return Answer(grouped(shapes))


def _shape(reply: Reply) -> str:
    body = reply.payload
    if isinstance(body, list):
        return "a list at the root"
    name = "data" if "data" in body else "messages"
    nested = len(body[name]) == 1 and isinstance(body[name][0], list)
    return f"a list in a list below {name}" if nested else f"a list below {name}"


def _team_order(replies: Replies) -> Answer:
    orders = {}
    for name, reply in (("agents", replies.agents), ("departments", replies.departments)):
        if reply.page and len(reply.page) > 1:
            orders[name] = "by id" if reply.page.ids == sorted(reply.page.ids) else "not by id"
    return (
        Answer(grouped(orders))
        if orders
        else unanswered("fewer than two agents and two departments were seen")
    )


def _default_order(replies: Replies) -> Answer:
    created = moments(replies.newest.records, "createdAt")
    if replies.newest.page is None:
        return unanswered(without_page(replies.newest))
    if len(set(created)) < 2:
        return unanswered(f"{counted(len(created), 'chat')} cannot show an order")
    if _rises(created[::-1]):
        return Answer("newest first")
    return Answer("oldest first" if _rises(created) else "not by createdAt")


def _sorting(replies: Replies) -> Answer:
    orders = {}
    for name, reply, field in (
        ("chats by createdAt", replies.oldest, "createdAt"),
        ("customers by firstSeen", replies.customers, "firstSeen"),
    ):
        times = moments(reply.records, field)
        if len(set(times)) > 1:
            orders[name] = "obeyed" if _rises(times) else "ignored"
    if not orders:
        return unanswered("too few chats and customers to show an order")
    if "ignored" not in orders.values():
        return Answer(grouped(orders))
    return contradicted(
        grouped(orders),
        "A list whose order changes cannot be read page by page: the task fails where it notices.",
    )


def _message_order(replies: Replies) -> Answer:
    written = moments(replies.messages.records, "createdAt")
    if replies.messages.page is None:
        return unanswered(without_page(replies.messages))
    if len(set(written)) < 2:
        return unanswered(f"{counted(len(written), 'message')} cannot show an order")
    if _rises(written[::-1]):
        return Answer("newest first")
    return contradicted(
        "not newest first",
        "An export that reads only the new messages of a chat may miss some; a full one does not.",
    )


def _rises(times: list[datetime]) -> bool:
    return all(earlier <= later for earlier, later in pairwise(times))


QUESTIONS = (
    Question("page_size", "records per page", "pages of 100 are asked for", _page_size),
    Question("full_pages", "short pages", "the next page begins where this one ends", _full_pages),
    Question("limit_above_100", "limit above 100", "never sent", _limit_above),
    Question("offset", "offset", "must be obeyed", _offset),
    Question("offset_behind_the_end", "offset behind the end", "must be an empty page", _beyond),
    Question("place_of_totals", "place of totals", "read wherever it is, needed nowhere", _place_of_totals),
    Question("totals", "totals", "should be right, although no list ends by its total alone", _totals),
    Question("envelopes", "envelopes", "all documented ones are read", _envelopes),
    Question("order_of_team", "order of the team", "any order that does not change", _team_order),
    Question(
        "default_order",
        "default order",
        "not relied upon, as each request names one",
        _default_order,
    ),
    Question("sorting", "sort and order", "must be obeyed", _sorting),
    Question("order_of_messages", "order of messages", "must be newest first", _message_order),
)
"""What an account may answer differently about lists."""
