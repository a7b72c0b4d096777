"""Faults: what goes wrong, with which requests, how often."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_provider_helpcrunch.sandbox.fault_kinds import KINDS, of_group

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_helpcrunch.sandbox.journal import Request

DATA_KINDS = of_group("data")
SETTING_KINDS = of_group("setting")
INSTEAD_KINDS = of_group("instead")
PAYLOAD_KINDS = of_group("payload")
WIRE_KINDS = of_group("wire")

# Kinds that change one row unless told otherwise.
ONE_ROW = ("arrive", "take", "silent", "erase")

Body = Literal["documented", "html", "empty"]
Place = Literal["front", "end", "random"]


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One way to misbehave, and the requests it hits, out of those the account accepts (key right, limit not
    reached).

    Several faults may hit one request: all data changes are made first, then all latencies waited for, then
    the first of the others shapes the response. A write is carried out before the wait; not at all where a fault
    puts something in place of its response; and as ever where a fault only keeps the response from arriving.

    :param kind: a name of :data:`~.fault_kinds.KINDS`, which says what happens
    :param method: only requests with this method; default ``*``: any
    :param path: only requests whose path matches this shell pattern (``/v1/agents``, ``/v1/*``); default ``*``: any
    :param nth: the first matching request that is hit, from 1 (1)
    :param times: how many matching requests in a row are hit (1); 0 for ever
    :param offset: only requests with this ``offset``, in the query or in the body of a search; default: any
    :param chat: only requests about the chat with this id, in the body or in the path; default: any
    :param status: the HTTP status of ``status`` (500) and ``echo_key`` (401)
    :param body: the body of ``status``: ``documented`` (default), ``html`` or ``empty``
    :param retry_after: the ``Retry-After`` header of ``status``, verbatim; default: none
    :param seconds: the delay of ``latency`` (before the response) and of ``drip`` (before each byte) (1)
    :param rows: the rows of ``insert``, ``delete`` and ``short_page`` (50), of ``arrive``, ``take``,
        ``silent`` and ``erase`` (1)
    :param at: where ``insert``, ``delete`` and ``take`` strike: ``front`` (default), ``end`` or ``random``; for
        ``take``, among the chats by their creation
    :param agent: the agent whose open chats ``take`` takes (any, unassigned ones included), to whom those of
        ``arrive`` are assigned (nobody), who vanishes (must be given)
    :param by: the agent who has the chats after ``take``; default: the account's last agent
    :param location: the target of ``redirect``; default: ``/v1/redirected`` of this server by its name localhost
    :raises ValueError: there is no such kind, or a value is out of its range
    """

    kind: str
    method: str = "*"
    path: str = "*"
    nth: int = 1
    times: int = 1
    offset: int | None = None
    chat: int | None = None
    status: int | None = None
    body: Body = "documented"
    retry_after: str | None = None
    seconds: float = 1.0
    rows: int | None = None
    at: Place = "front"
    agent: int | None = None
    by: int | None = None
    location: str | None = None

    def __post_init__(self) -> None:
        """Refuse a fault that could never happen."""
        for name, allowed in (("kind", KINDS), ("body", get_args(Body)), ("at", get_args(Place))):
            if getattr(self, name) not in allowed:
                message = f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)!r}"
                raise ValueError(message)
        for name, least in (("nth", 1), ("times", 0), ("rows", 0), ("seconds", 0), ("status", 200)):
            value = getattr(self, name)
            if value is not None and value < least:
                message = f"{name} must be at least {least}, not {value}"
                raise ValueError(message)
        if self.kind == "vanish" and self.agent is None:
            message = "agent must be given: who vanishes"
            raise ValueError(message)

    @property
    def number(self) -> int:
        """The number of rows: :attr:`rows`, or the default of the kind."""
        if self.rows is not None:
            return self.rows
        return 1 if self.kind in ONE_ROW else 50

    @classmethod
    def parse(cls, text: str) -> Fault:
        """
        Read a fault from a command line.

        :param text: the kind, then parameters: ``status,status=503,path=/v1/agents,nth=4,times=2``
        :return: the fault
        :raises ValueError: there is no such kind or parameter, or a value is wrong
        """
        # A comma inside a value (an HTTP date) is no separator: no "name=" follows it.
        kind, *parameters = re.split(r",(?=\s*\w+=)", text)
        pairs = (parameter.partition("=") for parameter in parameters)
        return cls.from_dict({"kind": kind.strip(), **{name.strip(): value for name, _, value in pairs}})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Fault:
        """
        Make a fault from named values.

        :param values: ``kind`` and any other arguments of the class, by name; numbers may be texts
        :return: the fault
        :raises ValueError: there is no such kind or argument, or a value is wrong
        """
        known = {field.name for field in fields(cls)}
        if "kind" not in values or not known.issuperset(values):
            others = ", ".join(sorted(known - {"kind"}))
            message = f"a fault has a kind and any of {others}; this one has {', '.join(values)}"
            raise ValueError(message)
        return cls(**{name: _convert(name, value) for name, value in values.items()})

    def matches(self, request: Request) -> bool:
        """Say whether the request is one of those that this fault counts."""
        return (
            self.method in ("*", request.method)
            and fnmatchcase(request.path, self.path)
            and self.offset in (None, request.offset)
            and self.chat in (None, request.chat)
        )


_NUMBERS: dict[str, type[int] | type[float]] = {
    **dict.fromkeys(("nth", "times", "offset", "status", "rows", "chat", "agent", "by"), int),
    "seconds": float,
}


def _convert(name: str, value: Any) -> Any:
    if value is None:
        return None
    try:
        return _NUMBERS.get(name, str)(value)
    except (TypeError, ValueError):
        message = f"{name} must be a number, not {value!r}"
        raise ValueError(message) from None


class FaultPlan:
    """
    The faults of a sandbox, each with its own count of matching requests.

    Threads may add to it while the server asks.
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._counted: list[tuple[Fault, list[int]]] = []
        self.replace(faults)

    def add(self, fault: Fault) -> None:
        """Add a fault; it counts requests from now on."""
        with self._lock:
            self._counted.append((fault, [0]))

    def replace(self, faults: Iterable[Fault]) -> None:
        """Drop all faults and take these, with fresh counts."""
        with self._lock:
            self._counted = [(fault, [0]) for fault in faults]

    def hits(self, request: Request) -> list[Fault]:
        """Count the request and return the faults that hit it."""
        hit = []
        with self._lock:
            for fault, seen in self._counted:
                if fault.matches(request):
                    seen[0] += 1
                    if seen[0] >= fault.nth and (not fault.times or seen[0] < fault.nth + fault.times):
                        hit.append(fault)
        return hit
