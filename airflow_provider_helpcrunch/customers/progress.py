"""Progress of an upsert: the outcome of each row, one letter a row, so that a million rows take a megabyte."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Outcome: TypeAlias = Literal["created", "updated", "unchanged", "planned", "refused", "failed"]

REJECTED: tuple[Outcome, ...] = ("refused", "failed")
LETTERS: dict[Outcome, str] = {
    "created": "c",
    "updated": "u",
    "unchanged": "=",
    "planned": "p",
    "refused": "r",
    "failed": "f",
}
NOT_KEPT: dict[Outcome, str] = {"created": "C", "updated": "U", "unchanged": "#"}
"""Letters of rows with a field that HelpCrunch did not keep."""

OPEN = "-"
"""Letter of a row without an outcome."""


class Progress:
    """
    Outcomes of the rows of an input.

    :param outcomes: a letter for each row, in order. Default: none has one yet
    :param errors: why rows were rejected, by their numbers. Default: none was
    :param fields_not_kept: names of the fields that HelpCrunch did not keep. Default: it kept all
    """

    def __init__(
        self,
        outcomes: str = "",
        errors: Mapping[int, str] | None = None,
        fields_not_kept: Iterable[str] = (),
    ) -> None:
        self._outcomes = bytearray(outcomes, "ascii")
        self.errors = dict(errors or {})
        """Why rows were rejected, by their numbers."""
        self.fields_not_kept = set(fields_not_kept)
        """Names of the fields that HelpCrunch accepted and did not keep."""
        self.unsaved: set[int] = set()
        """Numbers of the rows whose outcomes have not been saved yet."""

    def record(
        self, row: int, outcome: Outcome, error: str | None = None, not_kept: Iterable[str] = ()
    ) -> None:
        """
        Record the outcome of a row.

        :param row: its number, from 1
        :param outcome: the outcome
        :param error: why it was rejected. Default: it was not
        :param not_kept: names of its fields that HelpCrunch did not keep. Default: none
        """
        self._outcomes.extend(OPEN.encode() * (row - len(self._outcomes)))
        fields = set(not_kept)
        self.fields_not_kept |= fields
        self._outcomes[row - 1] = ord((NOT_KEPT if fields else LETTERS)[outcome])
        self.errors.pop(row, None)
        if error is not None:
            self.errors[row] = error
        self.unsaved.add(row)

    def is_open(self, row: int) -> bool:
        """
        Say whether a row has no outcome yet.

        :param row: its number, from 1
        """
        return row > len(self._outcomes) or self._outcomes[row - 1] == ord(OPEN)

    def counts(self) -> dict[str, int]:
        """Return the number of rows by outcome, including outcomes with none."""
        found = Counter(self._outcomes.decode())
        return {
            outcome: found[letter] + found[NOT_KEPT.get(outcome, "")] for outcome, letter in LETTERS.items()
        }

    @property
    def not_kept(self) -> int:
        """Number of rows with a field that HelpCrunch did not keep."""
        return sum(self._outcomes.count(ord(letter)) for letter in NOT_KEPT.values())

    @property
    def done(self) -> int:
        """Number of rows with an outcome."""
        return sum(self.counts().values())

    def retried(self) -> Progress:
        """Return the progress with which another try begins: what was rejected is tried again."""
        outcomes = self._outcomes.decode()
        for outcome in REJECTED:
            outcomes = outcomes.replace(LETTERS[outcome], OPEN)
        return Progress(outcomes, fields_not_kept=self.fields_not_kept)

    def part(self, start: int, end: int) -> dict[str, Any]:
        """
        Return some rows as plain JSON.

        :param start: how many rows come before them
        :param end: number of the last of them
        """
        return {
            "outcomes": self._outcomes[start:end].decode(),
            "errors": {str(row): error for row, error in self.errors.items() if start < row <= end},
            "fields_not_kept": sorted(self.fields_not_kept),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the progress as plain JSON."""
        return self.part(0, len(self._outcomes))

    @classmethod
    def from_json(cls, *written: Mapping[str, Any]) -> Progress:
        """
        Return the progress of which :meth:`to_json` or :meth:`part` made plain JSON.

        :param written: the plain JSON, of all parts in their order
        """
        errors = {int(row): error for each in written for row, error in each["errors"].items()}
        fields = {name for each in written for name in each["fields_not_kept"]}
        return cls("".join(each["outcomes"] for each in written), errors, fields)
