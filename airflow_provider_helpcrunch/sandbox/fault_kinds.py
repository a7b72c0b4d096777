"""Kinds of faults: the one table that ``--help``, the documentation and the server take them from."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Group: TypeAlias = Literal["data", "latency", "setting", "instead", "payload", "wire"]


class Kind(NamedTuple):
    """
    One kind of fault.

    :param name: its name
    :param group: when it works: ``data`` (the account changes just before the response), ``latency``, ``setting`` (a
        switch of the sandbox for one request), ``instead`` (in place of the response: nothing was read or written for
        it), ``payload`` (the response is distorted) or ``wire`` (the request was carried out, only its response
        does not arrive as it should)
    :param parameters: those of its own, as a command line has them, with their defaults or meanings
    :param text: its effect, in Markdown
    """

    name: str
    group: Group
    parameters: str
    text: str


_TABLE: tuple[tuple[str, Group, str, str], ...] = (
    (
        "insert",
        "data",
        "rows=50,at=front",
        "agents are added just before the response; `at`: `front`, `end` or `random`",
    ),
    ("delete", "data", "rows=50,at=front", "agents are removed just before the response; `at` as above"),
    (
        "arrive",
        "data",
        "rows=1,agent=ID",
        "new chats come in just before the response, assigned to `agent`, by default to nobody",
    ),
    (
        "take",
        "data",
        "rows=1,at=front,agent=ID,by=ID",
        "persons take open chats of `agent` (default: of anybody and nobody) just before the response; `by` (default: "
        "the last agent) has them then; `at` goes by `createdAt`",
    ),
    (
        "silent",
        "data",
        "rows=1",
        "people change chats just before the response: assignee, department, status, rating, snoozing or read mark",
    ),
    ("erase", "data", "rows=1", "customers are deleted with their chats just before the response"),
    ("vanish", "data", "agent=ID", "that agent leaves the account just before the response"),
    ("latency", "latency", "seconds=1", "the response is late"),
    (
        "status",
        "instead",
        "status=500,body=documented,retry_after=TEXT",
        "an error; `body`: `documented`, `html` or `empty`; `retry_after` becomes its `Retry-After` header, verbatim",
    ),
    ("echo_key", "instead", "status=401", "an error whose message holds the whole `Authorization` header"),
    ("redirect", "instead", "location=URL", "302, by default to this server by its name localhost"),
    ("html", "instead", "", "200 with an HTML page"),
    ("garbage", "instead", "", "200 with text that is not JSON"),
    ("errors", "instead", "", "200 with `errors` alone"),
    ("no_data", "payload", "", "200 without `data`"),
    ("data_null", "payload", "", "200 where `data` is null"),
    ("data_object", "payload", "", "200 where `data` is an object"),
    ("no_ids", "payload", "", "200 with records that have no `id`"),
    ("empty_page", "payload", "", "no rows, under the true total"),
    ("short_page", "payload", "rows=50", "only the first rows, under the true total"),
    ("duplicate_rows", "payload", "", "every row of the page twice"),
    ("shuffle", "setting", "", "the page is read from an order drawn for this request"),
    ("ignore_offset", "setting", "", "the page is read from the start"),
    (
        "ignore_filter",
        "setting",
        "",
        "a search is checked, but answers as if no filter had been given",
    ),
    (
        "ignore_write",
        "setting",
        "",
        "a `PUT` is checked and answered 200 with the chat as it was: nothing was changed",
    ),
    ("reset", "wire", "", "the connection ends by RST, without a response"),
    ("close", "wire", "", "the connection ends by FIN, without a response"),
    ("truncate", "wire", "", "the full `Content-Length`, half the body, then the end of the connection"),
    ("drip", "wire", "seconds=1", "the headers, then one byte of the body every `seconds`"),
    ("hang", "wire", "", "never a response"),
)

KINDS: dict[str, Kind] = {row[0]: Kind(*row) for row in _TABLE}


def of_group(group: Group) -> tuple[str, ...]:
    """Return the names of the kinds of one group."""
    return tuple(kind.name for kind in KINDS.values() if kind.group == group)
