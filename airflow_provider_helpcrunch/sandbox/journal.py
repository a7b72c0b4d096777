"""Journal of the requests that reached the sandbox, for the assertions of a test."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.sandbox.complaints import integer

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Request:
    """
    One HTTP request that reached the sandbox.

    The key is not kept, only whether it was right.

    :param at: ``time.monotonic()`` of its arrival
    :param method: ``GET``
    :param path: with the prefix: ``/v1/agents``
    :param query: the query parameters
    :param body: the decoded JSON body, ``None`` without one
    :param status: the status of the response; ``None`` when no complete response was sent
    :param peer: ``host:port`` of the client; distinct values are distinct TCP connections
    :param user_agent: the client's ``User-Agent``, empty without one
    :param authorized: the key was right
    :param fault: the kinds of the faults that hit it, joined by ``+``; ``None`` without one
    :param applied: it changed the account, whether or not the client got the response
    """

    at: float
    method: str
    path: str
    query: dict[str, str]
    body: Any
    status: int | None
    peer: str
    user_agent: str
    authorized: bool
    fault: str | None = None
    applied: bool = False

    @property
    def chat(self) -> int | None:
        """The chat it is about: in the path, or in the body of a change or of a new message."""
        parts = self.path.strip("/").split("/")[1:]
        if parts == ["messages"]:
            return integer(self._asked("chat"))
        if parts[:1] != ["chats"] or len(parts) < 2 or (len(parts) == 3 and parts[2] != "messages"):
            return None
        return integer(parts[1]) if integer(parts[1]) is not None else integer(self._asked("id"))

    @property
    def customer(self) -> int | None:
        """The customer it is about, in the path."""
        parts = self.path.strip("/").split("/")[1:]
        return integer(parts[1]) if parts[:1] == ["customers"] and len(parts) > 1 else None

    @property
    def offset(self) -> int | None:
        """The first row it asks for, in the query or in the body of a search; ``None`` if that is no number."""
        return integer(self.query.get("offset", self._asked("offset") or 0))

    def _asked(self, name: str) -> Any:
        return self.body.get(name) if isinstance(self.body, dict) else None


class Journal:
    """All requests in the order of arrival. Threads may read it while the server writes."""

    def __init__(self) -> None:
        self._entries: dict[int, Request] = {}
        self._issued = 0
        self._lock = threading.Lock()

    def open(self, request: Request) -> int:
        """Enter a request on arrival and return its ticket."""
        with self._lock:
            self._issued += 1
            self._entries[self._issued] = request
            return self._issued

    def answered(self, ticket: int, status: int) -> None:
        """Enter the status of a complete response; a ticket from before :meth:`clear` is ignored."""
        self._change(ticket, status=status)

    def applied(self, ticket: int) -> None:
        """Enter that the request changed the account; a ticket from before :meth:`clear` is ignored."""
        self._change(ticket, applied=True)

    def _change(self, ticket: int, **values: Any) -> None:
        with self._lock:
            if ticket in self._entries:
                self._entries[ticket] = replace(self._entries[ticket], **values)

    def entries(self) -> list[Request]:
        """Return all entries."""
        with self._lock:
            return list(self._entries.values())

    def clear(self) -> None:
        """Forget all entries."""
        with self._lock:
            self._entries.clear()


def busiest_window(requests: Iterable[Request], seconds: float) -> int:
    """
    Return the largest number of requests that arrived in any half-open window of this length.

    Requests that were answered 429 do not count: they did not spend from the limit.
    """
    times = sorted(request.at for request in requests if request.status != 429)
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def summary(requests: list[Request]) -> dict[str, Any]:
    """Return the figures of a run: requests, by status, by fault, TCP connections, busiest 60 s."""
    return {
        "requests": len(requests),
        "by_status": Counter(str(request.status or "none") for request in requests),
        "by_fault": Counter(request.fault for request in requests if request.fault),
        "connections": len({request.peer for request in requests}),
        "busiest_60_s": busiest_window(requests, 60.0),
    }
