"""What became of one change of one chat, and of all of them together."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from airflow_provider_helpcrunch.client.records import Column, Table
from airflow_provider_helpcrunch.operators.chats.carried import from_steps, steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Word: TypeAlias = Literal["changed", "planned", "unchanged", "refused", "failed"]

CHANGES = Table(
    "changes",
    (
        Column("id", "int64"),
        Column("field", "string"),
        Column("before", "string"),
        Column("before_name", "string"),
        Column("after", "string"),
        Column("after_name", "string"),
        Column("outcome", "string"),
        Column("error", "string"),
    ),
)
"""The columns of the report in CSV and Parquet."""

FAILURES: tuple[Word, ...] = ("refused", "failed")
UNKNOWN = "?"
"""What something was before that was not looked at."""

_IN_WORDS = {
    "planned": "planned (dry run: nothing was changed)",
    "unchanged": "unchanged (it was so already)",
    "refused": "refused by HelpCrunch",
    "failed": "failed (no usable response)",
    "skipped": "skipped (in a status that is not to be moved)",
}
"""What a count means, where its name does not say."""

MOST_LINES = 1000
"""Lines of a table that go into a log."""


class Outcome(NamedTuple):
    """
    What became of one change of one chat.

    :param id: the chat's id
    :param field: what was to change: ``assignee``, ``department``, ``status`` or ``snoozed_until``
    :param before: its value before: of an assignee or department the id, ``None`` for none, and ``?`` where it was not
        looked at
    :param after: the value that was asked for
    :param outcome: ``changed``, ``planned`` (a dry run), ``unchanged`` (it was so already), ``refused`` (HelpCrunch
        answered 400 or 404) or ``failed`` (no usable answer)
    :param error: why it was refused or failed
    """

    id: int
    field: str
    before: Any
    after: Any
    outcome: Word
    error: str | None = None


def in_words(counts: Mapping[str, int]) -> str:
    """
    Return the counts of a result as a person reads them, those of zero left out.

    :param counts: how many there are, by outcome
    """
    told = (f"{count:,} {_IN_WORDS.get(word, word)}" for word, count in counts.items() if count)
    return ", ".join(told) or "Nothing to do"


def columns(outcomes: Sequence[Outcome]) -> list[list[Any]]:
    """
    Return outcomes as plain JSON that packs well: column by column.

    :param outcomes: the outcomes, in order
    """
    ids, *others = map(list, zip(*outcomes, strict=True)) if outcomes else [[] for _ in Outcome._fields]
    return [steps(ids), *others]


def from_columns(written: Sequence[Sequence[Any]]) -> list[Outcome]:
    """
    Return the outcomes that :func:`columns` was given.

    :param written: what it returned
    """
    ids, *others = written
    return [Outcome(*values) for values in zip(from_steps(ids), *others, strict=True)]


class Report:
    """
    The outcomes of a task, in order; a later outcome of the same change replaces the earlier one.

    :param outcomes: those that there are already
    """

    def __init__(self, outcomes: Iterable[Outcome] = ()) -> None:
        self._outcomes: dict[tuple[int, str], Outcome] = {}
        for outcome in outcomes:
            self.add(outcome)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self._outcomes.values())

    def __len__(self) -> int:
        return len(self._outcomes)

    def add(self, outcome: Outcome) -> None:
        """Take note of an outcome."""
        self._outcomes[outcome.id, outcome.field] = outcome

    def counts(self) -> dict[str, int]:
        """Return how many changes had each outcome, all five of them."""
        found = Counter(outcome.outcome for outcome in self)
        words: tuple[Word, ...] = ("changed", "planned", "unchanged", *FAILURES)
        return {word: found[word] for word in words}

    def failures(self) -> list[Outcome]:
        """Return the changes that were refused or failed."""
        return [outcome for outcome in self if outcome.outcome in FAILURES]

    def rows(self, names: Mapping[int, str]) -> Iterator[dict[str, Any]]:
        """
        Return a record for each change, for the file.

        :param names: names of agents, by id
        """
        for outcome in self:
            assignee = outcome.field == "assignee"
            yield {
                **outcome._asdict(),
                "before_name": names.get(outcome.before) if assignee else None,
                "after_name": names.get(outcome.after) if assignee else None,
            }

    def table(self, names: Mapping[int, str]) -> str:
        """
        Return the changes as a table for a person, failures first, cut at 1,000 lines.

        :param names: names of agents, by id
        """
        ordered = sorted(self, key=lambda outcome: outcome.outcome not in FAILURES)
        lines = [_line(outcome, names) for outcome in ordered[:MOST_LINES]]
        more = len(self) - len(lines)
        return "\n".join([*_aligned([_HEAD, *lines]), *([f"… and {more:,} more"] if more > 0 else [])])


_HEAD = ("chat", "what", "before", "after", "outcome")


def _line(outcome: Outcome, names: Mapping[int, str]) -> tuple[str, ...]:
    def shown(value: Any) -> str:
        if value == UNKNOWN:
            return UNKNOWN
        if outcome.field != "assignee":
            return "" if value is None else str(value)
        return "nobody" if value is None else f"{names.get(value) or 'agent'} ({value})"

    told = outcome.outcome if outcome.error is None else f"{outcome.outcome}: {outcome.error}"
    return (str(outcome.id), outcome.field, shown(outcome.before), shown(outcome.after), told)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with aligned columns, whatever an account has put into names."""
    texts = [["".join(c if c.isprintable() else "?" for c in cell) for cell in row] for row in rows]
    widths = [min(max(map(len, column)), 40) for column in zip(*texts, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in texts]
