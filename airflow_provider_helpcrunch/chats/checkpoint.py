"""
Checkpoint of a run: all that a retry, a deferral or another worker needs to go on.

An engine reads and writes its checkpoint while it works and keeps nothing else that matters, so an engine made with the
same checkpoint goes on where the other one stopped.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.chats.results import Result, Results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MOST_BYTES = 40 * 1024
"""The largest state that a deferral carries, in bytes of JSON. Airflow keeps a trigger's arguments and its event in
columns that hold 65,535 bytes on MySQL, the arguments encrypted, which makes a third more of them."""


@dataclass
class SourceCheckpoint:
    """
    Position in the chats of one agent, or of nobody; see :mod:`.drain`.

    :param offset: where the next page begins
    :param shared: id of the chat there
    :param narrow: whether closed chats are left out by the search
    :param may_narrow: whether they may be
    :param fresh: whether no page was worked off since the search became narrow
    :param everything: how many chats there were when it became narrow; ``None``: unknown
    :param moved: whether a chat was moved in this pass, so that another pass has to look whether any is left
    :param found_any: whether any chat of the source was found, in whatever status
    :param skipped: chats of the source whose status is not wanted, except closed ones
    :param returned: chats that were moved, and are found at the source again
    """

    offset: int = 0
    shared: int | None = None
    narrow: bool = False
    may_narrow: bool = False
    fresh: bool = True
    everything: int | None = None
    moved: bool = False
    found_any: bool = False
    skipped: set[int] = field(default_factory=set)
    returned: set[int] = field(default_factory=set)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
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
    Everything that a run of many changes has to remember.

    :param results: what was done so far: the one answer to "was this chat moved?"
    :param requests: requests that were sent before this run
    :param waited: seconds without progress, because no request was allowed
    :param looked_up: whether the agents and departments that are named were looked up
    :param loads: chats of each recipient, by id, in the order in which they were named
    :param counted: how many of the recipients have their chats counted
    :param unknown: sources that the account does not know, and of which no chat was found yet
    :param sources_done: sources that are finished
    :param skipped: chats of these that were skipped
    :param source: position in the source at hand; ``None`` between two sources
    """

    results: Results = field(default_factory=Results)
    requests: int = 0
    waited: float = 0.0
    looked_up: bool = False
    loads: dict[int, int] = field(default_factory=dict)
    counted: int = 0
    unknown: list[int] = field(default_factory=list)
    sources_done: int = 0
    skipped: int = 0
    source: SourceCheckpoint | None = None

    def position(self) -> dict[str, Any]:
        """Return all but the results and the costs, as plain JSON."""
        return {
            "looked_up": self.looked_up,
            "loads": [list(load) for load in self.loads.items()],
            "counted": self.counted,
            "unknown": list(self.unknown),
            "sources_done": self.sources_done,
            "skipped": self.skipped,
            "source": None if self.source is None else self.source.to_json(),
        }

    def to_json(self, columns: Callable[[Sequence[Result]], list[list[Any]]] | None) -> dict[str, Any]:
        """
        Return it as plain JSON, packed: a chat takes about a byte.

        :param columns: writes the results, as :func:`columns` does; ``None`` where they are kept elsewhere
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
        :param kept: the results, where they were kept elsewhere. Default: none
        """
        inner = unpacked(written["packed"])
        position = inner["position"]
        results = kept if inner["results"] is None else from_columns(inner["results"])
        source = position["source"]
        return cls(
            **{
                **position,
                "loads": dict(position["loads"]),
                "source": None if source is None else SourceCheckpoint.from_json(source),
            },
            results=Results.resumed(results, written["earlier"]),
            requests=written["requests"],
            waited=written["waited"],
        )


def packed(value: Any) -> str:
    """
    Return plain JSON as a short text.

    :param value: the plain JSON
    """
    written = json.dumps(value, separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(written, level=9)).decode()


def unpacked(text: str) -> Any:
    """
    Return what :func:`packed` was given.

    :param text: what it returned
    """
    return json.loads(zlib.decompress(base64.b64decode(text)))


def steps(numbers: Iterable[int]) -> list[int]:
    """
    Return the differences between neighbours, the first number included: small where the numbers ascend.

    :param numbers: such as ids, in order
    """
    return [after - before for before, after in pairwise([0, *numbers])]


def from_steps(differences: Iterable[int]) -> list[int]:
    """
    Return the numbers that :func:`steps` was given.

    :param differences: what it returned
    """
    return list(accumulate(differences))


def columns(results: Sequence[Result]) -> list[list[Any]]:
    """
    Return results as plain JSON that packs well: column by column.

    :param results: the results, in order
    """
    ids, *others = map(list, zip(*results, strict=True)) if results else [[] for _ in Result._fields]
    return [steps(ids), *others]


def from_columns(written: Sequence[Sequence[Any]]) -> list[Result]:
    """
    Return the results that :func:`columns` was given.

    :param written: what it returned
    """
    ids, *others = written
    return [Result(*values) for values in zip(from_steps(ids), *others, strict=True)]
