"""
Staging of a running export: the pages read so far, stored beside the data, so that any worker can go on.

After each page its rows are stored, and then the claim that counts them: a worker that is killed in between has to read
that one page again. Rows are collected in parts of some 256 KiB, so that a long export makes few objects; the part is
written again with each page until it is full.

The claim also says who is exporting. A second run is refused while the first is alive. What a killed or paused worker
of the same run has left is taken over; should that worker come back, it finds another token in the claim and stops.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchStorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_helpcrunch.exports.base_path import BasePath
    from airflow_provider_helpcrunch.exports.manifest import Manifest
    from airflow_provider_helpcrunch.schema import Record

CLAIM = "staging/claim.json"
PART_BYTES = 256 * 1024
"""Size from which a part is full. A larger part costs more each time it is written again; smaller ones are more."""

LONGEST_SILENCE = 1800.0
"""Seconds without a page after which a run counts as dead. A page may wait for the rate limit for ``patience``."""


LONGEST_HOLD = 86_400.0
"""Longest time in seconds for which a claim may be held ahead, while its run waits for the rate limit."""


class Claim(msgspec.Struct, kw_only=True):
    """
    State of a running export.

    :param run: the run
    :param settings: hash of columns, hashes and format
    :param token: identifies the worker that is exporting
    :param head: token of the latest finished export when the run began; ``None``: there was none
    :param started_at: when the run began, in UNIX seconds
    :param alive_at: when a page was stored last, in UNIX seconds; 0.0 after a worker has stopped in order; of a
        deferred run, when it will go on
    :param parts: name and number of rows of each part
    :param outputs: names of the export's own objects, as far as they are written
    :param cursor: position from which the next worker continues, as plain JSON
    :param requests: HTTP requests of the run so far
    """

    run: str
    settings: str
    token: str
    head: str | None
    started_at: int
    alive_at: float
    parts: list[tuple[str, int]]
    outputs: list[str]
    cursor: Any = None
    requests: int = 0


class Staging:
    """
    Pages of a running export; :meth:`claimed` makes it.

    :param base: the base path of the export
    :param claim: the state, with this worker's token
    :param clock: UNIX seconds
    """

    def __init__(self, base: BasePath, claim: Claim, clock: Callable[[], float]) -> None:
        self.claim = claim
        self._base = base
        self.pages = 0
        """Pages stored by this worker."""
        self._clock = clock
        self._lines = b""
        self._number = len(claim.parts)

    @classmethod
    def claimed(
        cls,
        base: BasePath,
        run: str,
        settings: str,
        head: Manifest | None,
        clock: Callable[[], float] = time.time,
    ) -> Staging:
        """
        Claim the export for a run: begin, or go on where a worker of the same run has stopped.

        :param base: the base path of the export
        :param run: the run
        :param settings: hash of columns, hashes and format; what was staged with others is not used
        :param head: manifest of the latest finished export; ``None``: there is none
        :param clock: UNIX seconds (``time.time``)
        :raises HelpCrunchStorageError: another run is exporting to the same base path, or the storage fails
        :raises HelpCrunchConfigurationError: something that is no claim has the claim's name
        """
        found, latest = _read_claim(base), None if head is None else head.token
        claim = Claim(
            run=run,
            settings=settings,
            token=secrets.token_hex(4),
            head=latest,
            # Later than the export before, even if the clock was set back: by it, changes are put in order.
            started_at=max(int(clock()), 0 if head is None else head.started_at + 1),
            alive_at=clock(),
            parts=[],
            outputs=[],
        )
        litter: list[str] = []
        if found is not None:
            # A worker that was killed just after it published has left a claim, too.
            if found.token != latest:
                _refuse_if_alive(base, found, run, clock())
            published = set() if head is None else {head.name, *(each.path for each in head.objects)}
            litter = [name for name in found.outputs if name not in published]
            if (found.run, found.settings, found.head) == (run, settings, latest):
                claim.started_at, claim.requests = found.started_at, found.requests
                claim.parts, claim.cursor = found.parts, found.cursor
            else:
                litter += [name for name, _ in found.parts]
        staging = cls(base, claim, clock)
        # The claim first: if this worker is killed now, what is left is litter, but never taken for pages.
        staging._write_claim()
        for name in litter:
            base.delete(name)
        return staging

    def note_output(self, name: str) -> None:
        """
        Record the name of an object before it is written, so that it can be deleted if the export is never published.

        :param name: its name
        :raises HelpCrunchStorageError: another worker has taken over, or the storage fails
        """
        self.check_owner()
        self.claim.outputs.append(name)
        self._write_claim()

    def add(self, rows: Iterable[Record], cursor: Any, requests: int) -> None:
        """
        Store the rows of one page, and the position behind it.

        :param rows: the rows, as plain JSON
        :param cursor: the position, as plain JSON
        :param requests: HTTP requests of the run so far
        :raises HelpCrunchStorageError: another worker has taken over, or the storage fails
        """
        self.check_owner()
        lines = [msgspec.json.encode(row) for row in rows]
        if not self._lines:
            # Never a name of before: what was discarded may still be on its way to its end.
            self._number += 1
            name = f"staging/{self.claim.token}-{self._number:06}.jsonl"
            self.claim.parts.append((name, 0))
            self._write_claim()  # before the part, so that no part is left that no claim knows
        name, count = self.claim.parts[-1]
        self._lines += b"".join(line + b"\n" for line in lines)
        self._base.write(name, self._lines)
        self.claim.parts[-1] = name, count + len(lines)
        self.claim.cursor, self.claim.requests = cursor, requests
        self.pages += 1
        self._write_claim()
        if len(self._lines) >= PART_BYTES:
            self._lines = b""

    def discard(self) -> None:
        """
        Forget the rows stored so far, and begin again.

        :raises HelpCrunchStorageError: another worker has taken over, or the storage fails
        """
        self.check_owner()
        litter = [name for name, _ in self.claim.parts]
        self.claim.parts, self.claim.cursor, self._lines = [], None, b""
        self._write_claim()
        for name in litter:
            self._base.delete(name)

    def rows(self) -> Iterator[Record]:
        """
        Yield all rows stored so far, in order.

        :raises HelpCrunchStorageError: a part is missing or cut off
        """
        for name, count in self.claim.parts:
            if not count:
                continue  # claimed, and perhaps never written
            # A part may have more rows than the claim: those of a page whose worker was killed before it counted them.
            lines = (self._base.read(name) or b"").splitlines()[:count]
            try:
                rows = [msgspec.json.decode(line) for line in lines]
            except msgspec.DecodeError:
                rows = []
            if len(rows) < count:
                msg = f"{self._base}/{name} is missing or damaged: delete {self._base}/{CLAIM} to begin this run again."
                raise HelpCrunchStorageError(msg)
            yield from rows

    def check_owner(self) -> None:
        """
        Check that this worker still has the claim.

        :raises HelpCrunchStorageError: another worker has taken over
        """
        if not self._is_owner():
            msg = f"Another worker has taken over the export to {self._base}, so this one stops."
            raise HelpCrunchStorageError(msg)

    def release(self) -> None:
        """Let any other run begin at once; this run can still go on if none has. A claim of another worker stays."""
        if self._is_owner():
            self.claim.alive_at = 0.0
            self._base.write_json(CLAIM, self.claim)

    def hold(self, seconds: float) -> None:
        """
        Keep other runs out while no worker is exporting: this run goes on later, and would find its pages deleted.

        :param seconds: seconds until then
        :raises HelpCrunchStorageError: another worker has taken over
        """
        self.check_owner()
        self.claim.alive_at = self._clock() + seconds
        self._base.write_json(CLAIM, self.claim)

    def clear(self) -> None:
        """Delete everything: the export is published."""
        # The claim last: if this worker is killed now, the next one finds what is left.
        for name, _ in self.claim.parts:
            self._base.delete(name)
        self._base.delete(CLAIM)

    def _is_owner(self) -> bool:
        found = _read_claim(self._base)
        return found is not None and found.token == self.claim.token

    def _write_claim(self) -> None:
        self.claim.alive_at = self._clock()
        self._base.write_json(CLAIM, self.claim)


def _read_claim(base: BasePath) -> Claim | None:
    if (data := base.read(CLAIM)) is None:
        return None
    try:
        return msgspec.json.decode(data, type=Claim)
    except (msgspec.MsgspecError, ValueError) as error:
        msg = f"{base}/{CLAIM} is not the claim of an export, or is damaged ({error}): delete it to begin again."
        raise HelpCrunchConfigurationError(msg) from None


def _refuse_if_alive(base: BasePath, claim: Claim, run: str, now: float) -> None:
    silence = now - claim.alive_at
    # A time further ahead than any deferral is from a clock that was wrong.
    if claim.run != run and -LONGEST_HOLD <= silence < LONGEST_SILENCE:
        msg = (
            f"Run {claim.run!r} is exporting to {base}. Two runs cannot export to one base_path at a time: run this "
            f"task again when the other is done (max_active_runs=1), or when it has been silent for "
            f"{LONGEST_SILENCE / 60:.0f} minutes."
        )
        raise HelpCrunchStorageError(msg)
