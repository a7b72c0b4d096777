"""
Checkpoint of a run: everything that a retry, a deferral or another worker needs to continue.

An engine reads and updates its checkpoint while it works and keeps no other progress, so a new engine with the same
checkpoint continues where the old one stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.chats.results import NOTE, Result, Results
from airflow_provider_helpcrunch.packing import from_steps, packed, steps, unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass
class SourceCheckpoint:
    """
    Position in the chats of one agent, or of nobody; see :mod:`.drain`.

    :param offset: offset of the next page
    :param shared: id of the chat expected there, which proves that the pages join; ``None``: not known
    :param narrow: whether the search excludes closed chats
    :param may_narrow: whether the search may exclude closed chats
    :param fresh: whether no page was processed since the search became narrow
    :param everything: number of chats when the search became narrow; ``None``: unknown
    :param furthest: offset of the furthest page of this pass; steps back, towards the front, do not lower it
    :param moved: whether a chat was moved in this pass, so that another pass has to check that none is left
    :param found_any: whether any chat of the source was found, in any status
    :param skipped: chats of the source whose status is not wanted, except closed ones
    :param returned: chats that were moved, but are found at the source again
    """

    offset: int = 0
    shared: int | None = None
    narrow: bool = False
    may_narrow: bool = False
    fresh: bool = True
    everything: int | None = None
    furthest: int = 0
    moved: bool = False
    found_any: bool = False
    skipped: set[int] = field(default_factory=set)
    returned: set[int] = field(default_factory=set)

    def to_json(self) -> dict[str, Any]:
        """Return the checkpoint as plain JSON."""
        sets = {"skipped": steps(sorted(self.skipped)), "returned": steps(sorted(self.returned))}
        return {**vars(self), **sets}

    @classmethod
    def from_json(cls, written: dict[str, Any]) -> SourceCheckpoint:
        """
        Return the checkpoint that :meth:`to_json` wrote.

        :param written: the plain JSON
        """
        sets = {name: set(from_steps(written[name])) for name in ("skipped", "returned")}
        return cls(**{**written, **sets})


@dataclass
class Checkpoint:
    """
    Progress of a run of many changes.

    :param results: results so far: the only record of which chats were moved
    :param requests: number of requests sent before this run
    :param waited: seconds without progress, because no request was allowed
    :param looked_up: whether the agents and departments of the work were looked up
    :param loads: number of chats of each recipient, by id, in the order in which they were named
    :param counted: number of recipients whose chats were counted
    :param wide: whether closed chats are read too to count open ones, as the search cannot exclude them; ``None``: not
        known
    :param unknown: sources that the account does not know, and of which no chat was found yet
    :param sources_done: number of finished sources
    :param skipped: number of chats of the finished sources that were skipped
    :param source: position in the current source; ``None`` between two sources
    :param full: whether the maximum of moves was reached; it stays reached if a move turns out not to have lasted
    :param in_doubt: changes that may have been made although no response came; see :mod:`.failures`
    :param looks_again: whether all sources are finished, and what failed in earlier tries is looked at once more
    :param opened: number of open chats of each recipient when they were counted, if they were
    :param counted_from: number of results at that moment: chats given later are not in ``opened``
    :param hold: called before a request, to keep ``in_doubt`` where it survives a killed worker. Default: does nothing
    """

    results: Results = field(default_factory=Results)
    requests: int = 0
    waited: float = 0.0
    looked_up: bool = False
    loads: dict[int, int] = field(default_factory=dict)
    counted: int = 0
    wide: bool | None = None
    unknown: list[int] = field(default_factory=list)
    sources_done: int = 0
    skipped: int = 0
    source: SourceCheckpoint | None = None
    full: bool = False
    in_doubt: list[Result] = field(default_factory=list)
    looks_again: bool = False
    opened: dict[int, int] = field(default_factory=dict)
    counted_from: int = 0
    hold: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)

    @property
    def moves_in_doubt(self) -> int:
        """Number of changes in doubt, without notes."""
        return sum(doubt.field != NOTE for doubt in self.in_doubt)

    def progress(self) -> tuple[int, ...]:
        """
        Return numbers that change with every step towards the end, and only then.

        A page read again, or from further in front, is no such step: if it counted, a list that keeps changing could
        keep a task waiting for the rate limit without end.
        """
        source = self.source or SourceCheckpoint()
        return (
            len(self.results),
            self.looked_up,
            self.counted,
            self.sources_done,
            source.furthest,
            source.narrow,
            len(self.in_doubt),
        )

    def position(self) -> dict[str, Any]:
        """Return everything but the results, requests and waits, as plain JSON."""
        return {
            "looked_up": self.looked_up,
            "loads": [list(load) for load in self.loads.items()],
            "counted": self.counted,
            "wide": self.wide,
            "unknown": list(self.unknown),
            "sources_done": self.sources_done,
            "skipped": self.skipped,
            "source": None if self.source is None else self.source.to_json(),
            "full": self.full,
            "in_doubt": [list(result) for result in self.in_doubt],
            "looks_again": self.looks_again,
            "opened": [list(opened) for opened in self.opened.items()],
            "counted_from": self.counted_from,
        }

    def to_json(self, columns: Callable[[Sequence[Result]], list[list[Any]]] | None) -> dict[str, Any]:
        """
        Return the checkpoint as plain JSON, packed: a chat takes about a byte.

        :param columns: writes the results, as :func:`columns` does; ``None`` if they are stored elsewhere
        """
        written = {
            "position": self.position(),
            "results": None if columns is None else columns(self.results[:]),
        }
        return {
            "changes": len(self.results),
            "earlier": self.results.earlier,
            "requests": self.requests,
            "waited": self.waited,
            "packed": packed(written),
        }

    @classmethod
    def from_json(
        cls,
        written: dict[str, Any],
        from_columns: Callable[[Sequence[Sequence[Any]]], list[Result]],
        kept: Sequence[Result] = (),
    ) -> Checkpoint:
        """
        Return the checkpoint that :meth:`to_json` wrote.

        :param written: the plain JSON
        :param from_columns: reads the results, as :func:`from_columns` does
        :param kept: the results, if they were stored elsewhere. Default: none
        """
        inner = unpacked(written["packed"])
        position = inner["position"]
        results = kept if inner["results"] is None else from_columns(inner["results"])
        source = position["source"]
        return cls(
            **{
                **position,
                "loads": dict(position["loads"]),
                "opened": dict(position["opened"]),
                "source": None if source is None else SourceCheckpoint.from_json(source),
                "in_doubt": [Result(*values) for values in position["in_doubt"]],
            },
            results=Results.resumed(results, written["earlier"]),
            requests=written["requests"],
            waited=written["waited"],
        )


def columns(results: Sequence[Result]) -> list[list[Any]]:
    """
    Return results as plain JSON, column by column: similar values next to each other compress well.

    :param results: the results, in order
    """
    ids, *others = map(list, zip(*results, strict=True)) if results else [[] for _ in Result._fields]
    return [steps(ids), *others]


def from_columns(written: Sequence[Sequence[Any]]) -> list[Result]:
    """
    Return the results of which :func:`columns` made plain JSON.

    :param written: the plain JSON
    """
    ids, *others = written
    return [Result(*values) for values in zip(from_steps(ids), *others, strict=True)]
