"""Results of changes: one by one, all of a task, and the report on them."""

from __future__ import annotations

from collections import Counter
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from airflow_provider_helpcrunch.client.addresses import chat_address
from airflow_provider_helpcrunch.plurals import LONGEST_LINE, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Outcome: TypeAlias = Literal[
    "changed", "planned", "unchanged", "skipped", "left", "noted", "refused", "failed"
]

DONE: tuple[Outcome, ...] = ("changed", "planned")
FAILURES: tuple[Outcome, ...] = ("refused", "failed")
UNKNOWN = "?"
"""Value unknown: the chat was not read."""

NOTE = "note"
"""Stands for the field where the change is a private note to a chat: see :mod:`.notes`."""

NOTE_LOST = (
    "The chat was moved, but no response said that its note was sent, and the note was not found in the chat. It is "
    "not sent again, because it must never be there twice."
)

_IN_WORDS = {
    "planned": "planned (dry run: nothing was changed)",
    "unchanged": "unchanged (already as planned)",
    "left": "left (nobody could take them)",
    "refused": "refused by HelpCrunch",
    "failed": "failed (no usable response)",
    "notes": "with their note",
    "notes_missing": "moved without their note",
}
"""Words for the counts in a log line, where the name alone is not clear."""

MOST_REASONS = 10
"""Most reasons in the first line of a log."""

MOST_LINES = 1000
"""Most changes in the table in a log."""

WIDEST_NAME = 30
"""Most columns of an agent's name with the id; a longer name is cut."""


class Result(NamedTuple):
    """
    Result of one change of one chat.

    :param id: the chat's id
    :param field: the field to change: ``assignee``, ``department``, ``status`` or ``snoozed_until``; or ``note``
    :param before: the value before: of an assignee or department the id, ``None`` for none, and ``?`` if the chat was
        not read; of a note the id of a message that was there before it, ``None`` if it was certainly not sent
    :param after: the requested value
    :param outcome: ``changed``, ``planned`` (a dry run), ``unchanged`` (already as planned), ``skipped`` (a condition
        of the plan no longer holds), ``left`` (nobody could take the chat), ``noted`` (the note is in the chat),
        ``refused`` (HelpCrunch sent 400 or 404) or ``failed`` (no usable response)
    :param error: reason for ``skipped``, ``left``, ``refused`` or ``failed``; else ``None``
    :param status: the chat's status before; ``?`` if the chat was not read
    :param department: id of the chat's department before, ``None`` for none; ``?`` if the chat was not read
    """

    id: int
    field: str
    before: Any
    after: Any
    outcome: Outcome
    error: str | None = None
    status: Any = UNKNOWN
    department: Any = UNKNOWN

    @property
    def is_move(self) -> bool:
        """Whether the chat got another agent, or was unassigned."""
        return self.field == "assignee" and self.outcome == "changed"

    @property
    def is_lost_note(self) -> bool:
        """Whether this is a note that may have been sent and was not found: it is missing for good."""
        return self.field == NOTE and self.error == NOTE_LOST

    @property
    def is_unsent_note(self) -> bool:
        """Whether this is a note that was certainly not sent."""
        return self.field == NOTE and self.outcome != "noted" and self.before is None


def noted(chat: int) -> Result:
    """
    Return the result of a note that is in its chat.

    :param chat: the chat's id
    """
    return Result(chat, NOTE, None, None, "noted")


class Results:
    """
    Results of a task, in order: the only record of which chats were changed.

    :param results: results of earlier tries. Default: none
    """

    def __init__(self, results: Iterable[Result] = ()) -> None:
        self._all: list[Result] = []
        self._latest: dict[tuple[int, str], Result] = {}
        self._tried: set[tuple[int, str]] = set()
        self.moved = 0
        """Number of chats and fields whose latest result is a change made, or planned, in any try."""
        for result in results:
            self.add(result)
        self._tried.clear()
        self.earlier = len(self._all)
        """Number of results from earlier tries of the task."""

    @classmethod
    def resumed(cls, results: Sequence[Result], earlier: int) -> Results:
        """
        Return the results of a task that continues after a deferral.

        :param results: all results
        :param earlier: how many of them are from earlier tries
        """
        resumed = cls(results[:earlier])
        for result in results[earlier:]:
            resumed.add(result)
        return resumed

    def __iter__(self) -> Iterator[Result]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, part: slice) -> list[Result]:
        """Return a slice of the results, in order."""
        return self._all[part]

    def add(self, result: Result) -> None:
        """
        Record a result of this try.

        :param result: the result
        """
        key = result.id, result.field
        # A move that did not last is "changed" first and "failed" later: it no longer counts as made.
        before = self._latest.get(key)
        self.moved += (result.outcome in DONE) - (before is not None and before.outcome in DONE)
        self._all.append(result)
        self._latest[key] = result
        self._tried.add(key)

    def latest(self, chat: int, field: str) -> Result | None:
        """
        Return the latest result of a change, of whichever try.

        :param chat: the chat's id
        :param field: the field to change
        :return: the result; ``None`` if no try has come to the change
        """
        return self._latest.get((chat, field))

    def of_this_try(self, chat: int, field: str) -> Result | None:
        """
        Return the latest result of a change, if it is of this try.

        :param chat: the chat's id
        :param field: the field to change
        :return: the result; ``None`` if this try has not come to the change
        """
        return self._latest[chat, field] if (chat, field) in self._tried else None

    def made(self) -> Iterator[Result]:
        """Yield the changes that were made, or planned, in any try, each with its latest result."""
        return (result for result in self._latest.values() if result.outcome in DONE)

    def failed_before(self) -> list[Result]:
        """Return the changes that failed in an earlier try, and may have been made nevertheless."""
        return [
            result
            for key, result in self._latest.items()
            if result.outcome == "failed" and key not in self._tried and not result.is_unsent_note
        ]

    def reach(self, most: int | None, in_doubt: int = 0) -> bool:
        """
        Say whether as many changes were made, or planned, as may be.

        :param most: how many may be; ``None``: any number
        :param in_doubt: number of changes that may have been made as well (0)
        """
        return most is not None and self.moved + in_doubt >= most

    def standing(self) -> list[Result]:
        """
        Return the latest result of each change, without what earlier tries failed to do or left.

        This try has tried those again, if they still matter.
        """
        return [
            result
            for key, result in self._latest.items()
            if key in self._tried or result.outcome not in (*FAILURES, "left")
        ]


class Report:
    """
    Report on results; a later result of the same change replaces an earlier one.

    :param results: the results, in order
    :param inbox: host of the account's inbox, for the addresses of chats. Default: not known
    """

    def __init__(self, results: Iterable[Result], inbox: str | None = None) -> None:
        self._inbox = inbox
        latest = {(result.id, result.field): result for result in results}
        # A note that is there is only counted. Of one that is missing, ``before`` is for our own look into the chat.
        self._results = {
            key: result._replace(before=None) if result.field == NOTE else result
            for key, result in latest.items()
            if result.outcome != "noted"
        }

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results.values())

    def __len__(self) -> int:
        return len(self._results)

    def counts(self) -> dict[str, int]:
        """Return the number of changes by outcome, including outcomes with none."""
        found = Counter(result.outcome for result in self)
        words: tuple[Outcome, ...] = (*DONE, "unchanged", "skipped", "left", *FAILURES)
        return {word: found[word] for word in words}

    def failures(self) -> list[Result]:
        """Return the changes that were refused or failed."""
        return [result for result in self if result.outcome in FAILURES]

    def reasons(self) -> str:
        """Return why chats were left: a line for each reason with the number of chats, the most frequent first."""
        found = Counter(result.error for result in self if result.outcome == "left").most_common()
        more = [f"… and {len(found) - MOST_REASONS} more reasons"] if len(found) > MOST_REASONS else []
        return "\n".join([*(f"{count:,} left: {why}" for why, count in found[:MOST_REASONS]), *more])

    def rows(self, names: Mapping[int, str], departments: Mapping[int, str]) -> Iterator[dict[str, Any]]:
        """
        Yield a record for each change, for the report file.

        :param names: names of agents, by id
        :param departments: names of departments, by id
        """
        for result in self:
            assignee = result.field == "assignee"
            yield {
                **result._asdict(),
                "before_name": names.get(result.before) if assignee else None,
                "after_name": names.get(result.after) if assignee else None,
                "department_name": departments.get(result.department),
                "url": chat_address(self._inbox, result.id),
            }

    def table(self, names: Mapping[int, str]) -> str:
        """
        Return the changes as a table for a person, cut at 1,000 changes: failures first, then skipped changes.

        :param names: names of agents, by id
        """
        ordered = sorted(
            self, key=lambda result: (result.outcome not in FAILURES, result.outcome != "skipped")
        )
        lines = [_line(result, names) for result in ordered[:MOST_LINES]]
        more = len(self) - len(lines)
        rest = [f"… and {more:,} more"] if more > 0 else []
        # Once for all chats: an address in each line would make it too long to read.
        where = [f"A chat's address is {address}"] if (address := chat_address(self._inbox, "<chat>")) else []
        return "\n".join([*_aligned([_HEAD, *lines]), *rest, *where])


def in_words(counts: Mapping[str, int], skipped: str) -> str:
    """
    Return the counts of a report as one line of text, without zeros.

    :param counts: number of changes by outcome
    :param skipped: why chats are skipped
    """
    words = {**_IN_WORDS, "skipped": f"skipped ({skipped})"}
    shown = (f"{count:,} {words.get(word, word)}" for word, count in counts.items() if count)
    return ", ".join(shown) or "Nothing to do"


_GAP = "  "
_HEAD = ("chat", "what", "before", "after", "outcome")


def _line(result: Result, names: Mapping[int, str]) -> tuple[str, ...]:
    def shown(value: Any) -> str:
        if value == UNKNOWN:
            return UNKNOWN
        if result.field != "assignee":
            return "" if value is None else str(value)
        if value is None:
            return "nobody"
        number = f" ({value})"
        return shorten(names.get(value) or "agent", WIDEST_NAME - len(number)) + number

    after = "" if result.outcome == "left" else shown(result.after)
    outcome = result.outcome if result.error is None else f"{result.outcome}: {result.error}"
    return (str(result.id), result.field, shown(result.before), after, outcome)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """
    Return rows as lines with aligned columns; unprintable characters of names become ``?``.

    The last column is continued on lines of its own where it is too long.
    """
    texts = [["".join(c if c.isprintable() else "?" for c in cell) for cell in row] for row in rows]
    *widths, _ = (max(map(len, column)) for column in zip(*texts, strict=True))
    indent = sum(widths) + len(_GAP) * len(widths)
    lines = []
    for *cells, last in texts:
        first, *others = wrap(last, max(LONGEST_LINE - indent, len("unchanged"))) or [""]
        lines.append(_GAP.join([*map(str.ljust, cells, widths), first]).rstrip())
        lines += [" " * indent + other for other in others]
    return lines
