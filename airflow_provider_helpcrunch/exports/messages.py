"""
Export of messages: only the chats whose ``lastMessageId`` moved since the export before are read.

There is no list of all messages, so each chat costs a request. A chat is read from its newest message back to the
latest one that the export before has. That is enough only if the chat's newest message is among them and they add up to
HelpCrunch's total; else the chat is read whole. If it does not add up even then, the run says so, and the next one
reads it again.

All files are in ascending order of the chats. So the export before and the chats read now can be merged like two sorted
lists, and memory holds one chat's messages.
"""

from __future__ import annotations

import logging
import struct
from array import array
from bisect import bisect_left
from dataclasses import astuple, dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from airflow_provider_helpcrunch.client.chat_messages import confirm_deleted
from airflow_provider_helpcrunch.client.cursor import LARGEST_PAGE
from airflow_provider_helpcrunch.client.ids import number_from
from airflow_provider_helpcrunch.client.pagination import Position
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchNotFoundError,
    HelpCrunchPaginationError,
)
from airflow_provider_helpcrunch.exports.digests import row_maker
from airflow_provider_helpcrunch.plurals import counted, named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from airflow_provider_helpcrunch.client import HelpCrunchClient, Listing
    from airflow_provider_helpcrunch.exports.manifest import ExportedObject, Manifest
    from airflow_provider_helpcrunch.exports.run import Run
    from airflow_provider_helpcrunch.exports.staging import Staging
    from airflow_provider_helpcrunch.schema import Record

SHORT = -1
"""Stands for the ``lastMessageId`` of a chat whose messages did not add up, so that the next run reads it again."""

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ChatState:
    """
    State of a chat whose messages were read.

    :param chat: its id
    :param last: its ``lastMessageId`` when it was read, 0 for none; :data:`SHORT` if its messages did not add up
    :param newest: id of its newest message
    :param messages: number of its messages, of every type
    """

    chat: int
    last: int
    newest: int
    messages: int


_ENTRY = struct.Struct(">qqqq")


class ChatStates:
    """
    States of all chats, packed, in ascending order of the chats.

    :param packed: what :attr:`packed` was. Default: none
    """

    def __init__(self, packed: bytes = b"") -> None:
        self.packed = bytearray(packed)

    def __len__(self) -> int:
        return len(self.packed) // _ENTRY.size

    def __getitem__(self, place: int) -> ChatState:
        return ChatState(*_ENTRY.unpack_from(self.packed, place * _ENTRY.size))

    def __iter__(self) -> Iterator[ChatState]:
        return (ChatState(*values) for values in _ENTRY.iter_unpack(self.packed))

    def add(self, state: ChatState) -> None:
        """Add the state of a chat with a higher id than all before."""
        self.packed += _ENTRY.pack(*astuple(state))

    def of(self, chat: int) -> ChatState | None:
        """Return the state of a chat; ``None`` if its messages were never read."""
        place = bisect_left(self, chat, key=lambda state: state.chat)
        found = self[place] if place < len(self) else None
        return found if found is not None and found.chat == chat else None


class Moved(NamedTuple):
    """
    Chats to read, in ascending order.

    :param chats: their ids
    :param lasts: their ``lastMessageId``; 0 for none
    """

    chats: array[int]
    lasts: array[int]


class Group(NamedTuple):
    """
    Messages of one chat that were read.

    :param chat: its id
    :param rows: the messages as ``(is_tech, row)``
    :param is_whole: whether these are all of its messages, so that they replace those of the export before
    :param state: its new state; ``None`` if HelpCrunch no longer has the chat
    """

    chat: int
    rows: list[tuple[bool, Record]]
    is_whole: bool
    state: ChatState | None

    def of(self, *, tech: bool) -> list[Record]:
        """Return the rows of people, or those that HelpCrunch wrote, oldest first."""
        return sorted((row for is_tech, row in self.rows if is_tech is tech), key=_number)


class MessagesExport:
    """
    Engine that exports the messages of chats.

    After a rate limit error, or a killed worker, another engine with the same run goes on: at most one page is read
    again. The claim to the base path is left to the run.

    :param run: the run
    :param chats: yields all chats of the account, with ``id`` and ``lastMessageId``
    :param page_size: messages per request, 1 to 100 (100)
    :param private_notes: whether to export private notes
    :param full: whether to read every chat, for an edit of an old message cannot be seen otherwise
    :param protect: leaves columns out, or hashes them, before anything is stored. Default: nothing
    """

    def __init__(
        self,
        run: Run,
        chats: Callable[[], Iterable[Record]],
        *,
        page_size: int = LARGEST_PAGE,
        private_notes: bool = False,
        full: bool = False,
        protect: Callable[[Record], Record] = lambda record: record,
    ) -> None:
        self._run = run
        self._chats = chats
        self._page_size = page_size
        self._private_notes = private_notes
        # Rows of other columns cannot stand beside each other in one file.
        self._is_full = full or run.is_incomparable
        self._protect = protect
        self._row_of = row_maker(run.resource.table, run.resource.file_format)

    def run(self, client: HelpCrunchClient) -> Manifest:
        """
        Export the messages.

        :param client: the account
        :return: the manifest of the export
        :raises HelpCrunchConfigurationError: a chat has no ``id`` or ``lastMessageId``; nothing was sent
        :raises HelpCrunchRateLimitError: no request is allowed; the pages read so far are stored
        :raises HelpCrunchStorageError: another run is exporting to the same base path, or the storage fails
        :raises HelpCrunchError: a request failed; the export before is untouched
        """
        before = ChatStates(self._run.state_before())
        moved, gone = self._compared(before)
        staging = self._run.claim(" full" if self._is_full else "")
        self._read(client, staging, moved, before)
        return self._finish(staging, before, gone)

    def _compared(self, before: ChatStates) -> tuple[Moved, set[int]]:
        """Return the chats to read, with their ``lastMessageId``, ascending; and the chats that are gone."""
        last_before = {state.chat: state.last for state in before}
        numbers, lasts = array("q"), array("q")
        for chat in self._chats():
            number, last = number_from(chat.get("id")), number_from(chat.get("lastMessageId"))
            # A hashed lastMessageId is no number.
            if not number or "lastMessageId" not in chat or (last is None and chat["lastMessageId"]):
                msg = (
                    "The chats need the fields id and lastMessageId: export them with these columns, without hashing "
                    "them."
                )
                raise HelpCrunchConfigurationError(msg)
            last = last or 0
            known = last_before.pop(number, None)
            # A chat without messages costs no request. (A private note may hide in it, as HelpCrunch does not say
            # whether notes count as last messages.)
            if self._is_full or (known or 0) != last:
                numbers.append(number)
                lasts.append(last)
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        # Arrays, as a list of pairs would take five times the memory.
        moved = Moved(*(array("q", map(column.__getitem__, order)) for column in (numbers, lasts)))
        return moved, set(last_before)

    def _read(self, client: HelpCrunchClient, staging: Staging, moved: Moved, before: ChatStates) -> None:
        """Read the chats that are not stored yet."""
        at = staging.claim.cursor or {"chat": 0, "ended": True}
        listing = partial(client.iter_messages, page_size=self._page_size)
        reader = _ChatReader(client, listing, staging, self._rows_of)
        for place in range(bisect_left(moved.chats, at["chat"]), len(moved.chats)):
            chat, last = moved.chats[place], moved.lasts[place]
            is_interrupted = chat == at["chat"]
            if is_interrupted and at["ended"]:
                continue
            known = None if self._is_full else before.of(chat)
            if known is not None and known.last == SHORT:
                known = None  # older messages may be missing
            reader.read(chat, last, known, at if is_interrupted else None)

    def _rows_of(self, chat: int, messages: Iterable[Record]) -> Iterator[Record]:
        """Return what is staged of messages, without those that nobody asked for."""
        for message in messages:
            if self._private_notes or not message["private"]:
                yield {"tech": message["tech"], "row": self._protect({**message, "chat": chat})}

    def _finish(self, staging: Staging, before: ChatStates, gone: set[int]) -> Manifest:
        run, table = self._run, self._run.resource.table
        counts = {"inserted": 0, "updated": 0, "deleted": 0}
        changes = run.write("changes", run.resource.changes, self._changes(staging, gone, counts), staging)
        snapshot = run.write("snapshot", table, self._merged(staging, gone, tech=False), staging)
        system = run.write("system", table, self._merged(staging, gone, tech=True), staging)
        records = sum(each.records for each in snapshot)
        states = self._states(staging, before, gone)
        self._warn_of_shortfalls(states)
        return run.publish(
            staging,
            snapshot=snapshot,
            changes=changes,
            system=system,
            state=run.write_state(bytes(states.packed), len(states), staging),
            records=records,
            unchanged=records - counts["inserted"] - counts["updated"],
            total=None,
            **counts,
        )

    def _changes(self, staging: Staging, gone: set[int], counts: dict[str, int]) -> Iterator[Record]:
        for old, group in _joined(self._before(tech=False), groups_of(staging), gone, []):
            for change, row in self._changes_of(old, group) if group is not None else ():
                counts[change] += 1
                yield self._run.changed(change, row, staging)

    def _changes_of(self, old: list[Record], group: Group) -> Iterator[tuple[str, Record]]:
        """Return the changes of one chat."""
        left = {_number(row): row for row in old}
        for row in group.of(tech=False):
            earlier = left.pop(_number(row), None)
            if earlier is None:
                yield "inserted", row
            elif self._run.is_incomparable or self._row_of(earlier) != self._row_of(row):
                yield "updated", row
        if group.is_whole:
            yield from (("deleted", row) for row in left.values())

    def _merged(self, staging: Staging, gone: set[int], *, tech: bool) -> Iterator[Record]:
        """Yield the messages of the snapshot: those of the export before, with the chats read now."""
        for old, group in _joined(self._before(tech=tech), groups_of(staging), gone, []):
            if group is None:
                yield from old
            else:
                rows = {_number(row): row for row in (() if group.is_whole else old)}
                rows.update((_number(row), row) for row in group.of(tech=tech))
                yield from (rows[number] for number in sorted(rows))

    def _before(self, *, tech: bool) -> Iterator[tuple[int, list[Record]]]:
        before = self._run.before
        objects: list[ExportedObject] = [] if before is None else before.system if tech else before.snapshot
        for chat, rows in groupby(self._run.read(objects), key=lambda row: int(row["chat"])):
            yield chat, list(rows)

    @staticmethod
    def _states(staging: Staging, before: ChatStates, gone: set[int]) -> ChatStates:
        states = ChatStates()
        known = ((state.chat, state) for state in before)
        for state, group in _joined(known, groups_of(staging), gone, None):
            now = state if group is None else group.state
            if now is not None:
                states.add(now)
        return states

    def _warn_of_shortfalls(self, states: ChatStates) -> None:
        short = [state.chat for state in states if state.last == SHORT]
        if short:
            self._run.warn(
                f"Messages of {counted(len(short), 'chat')} are missing: what HelpCrunch sent does not add up to its "
                f"total, or lacks the latest message. The next run reads them again: {named(short)}"
            )


class _ChatReader:
    """
    Reads chats one after the other into the staging.

    :param client: the account
    :param listing: returns the messages of a chat, newest first
    :param staging: stores each page
    :param rows_of: returns what is staged of messages
    """

    def __init__(
        self,
        client: HelpCrunchClient,
        listing: Callable[[int], Listing[Any]],
        staging: Staging,
        rows_of: Callable[[int, Iterable[Record]], Iterable[Record]],
    ) -> None:
        self._client = client
        self._listing = listing
        self._staging = staging
        self._rows_of = rows_of
        self._requests = staging.claim.requests
        self._short: list[Record] = []

    def read(self, chat: int, last: int, known: ChatState | None, at: dict[str, Any] | None) -> None:
        """
        Read a chat back to its latest known message; whole, if that does not suffice.

        :param chat: its id
        :param last: its ``lastMessageId``
        :param known: its state in the export before; ``None``: read it whole
        :param at: where another worker has stopped in the middle of it; ``None``: nowhere
        """
        if at is not None and at["whole"]:
            known = None
        try:
            adds_up = self._tried(chat, last, known, at)
            if not adds_up and (known is not None or at is not None):
                adds_up = self._tried(chat, last, None, None)
        except HelpCrunchNotFoundError as error:
            confirm_deleted(self._client, chat, error)
            log.warning("Chat %d was deleted, so its messages are deleted in the export, too.", chat)
            self._stage([{"start": chat}, {"end": chat, "whole": True, "state": None}], chat)
            return
        if not adds_up:
            # What the export before has of the chat stays: a short response deletes nothing.
            short = astuple(ChatState(chat, SHORT, 0, 0))
            self._stage([*self._short, {"end": chat, "whole": False, "state": short}], chat)

    def _tried(self, chat: int, last: int, known: ChatState | None, at: dict[str, Any] | None) -> bool:
        """Read a chat and say whether its messages add up; pages that contradict each other do not."""
        try:
            return self._attempt(chat, last, known, at)
        except HelpCrunchPaginationError as error:
            log.warning("The pages of chat %d contradict each other: %s", chat, error)
            self._short = [{"start": chat}]
            return False

    def _attempt(self, chat: int, last: int, known: ChatState | None, at: dict[str, Any] | None) -> bool:
        """Read a chat and say whether its messages add up. If so, its end is stored with them."""
        ids: list[int] = [] if at is None else at["ids"]
        rows: list[Record] = [{"start": chat}] if at is None else []
        listing, is_met = self._listing(chat), False
        for records in listing.batches(None if at is None else Position(*at["position"]), ids):
            new, is_met = _until(records, known)
            ids = [*ids, *(message["id"] for message in new)]
            rows += self._rows_of(chat, new)
            if is_met:
                break
            if not listing.is_complete:
                position = {"position": listing.position, "ids": ids, "whole": known is None}
                self._stage(rows, chat, ended=False, **position)
                rows = []
        listing.close()
        self._short = rows
        count, newest = len(ids), ids[0] if ids else 0
        if known is not None and is_met:
            count, newest = count + known.messages, newest or known.newest
        has_latest = not last or last in ids or (is_met and last == newest)
        # Without a total, only a chat that was read whole is known to be complete.
        if not has_latest or listing.total not in ((count,) if is_met else (None, count)):
            return False
        end = {"end": chat, "whole": not is_met, "state": astuple(ChatState(chat, last, newest, count))}
        self._stage([*rows, end], chat)
        return True

    def _stage(self, rows: Iterable[Record], chat: int, *, ended: bool = True, **position: Any) -> None:
        requests = self._requests + self._client.usage.requests
        self._staging.add(rows, {"chat": chat, "ended": ended, **position}, requests)


def _until(messages: list[Any], known: ChatState | None) -> tuple[list[Any], bool]:
    """Return the messages in front of the latest known one, and whether that one is there."""
    for place, message in enumerate(messages):
        if known is not None and message["id"] == known.newest:
            return messages[:place], True
    return messages, False


def groups_of(staging: Staging) -> Iterator[Group]:
    """
    Yield the chats that were read, in ascending order.

    :param staging: has a row where the reading of a chat began, one for each message, and one where it ended. Rows
        without an end were given up: their chat begins again
    """
    rows: list[tuple[bool, Record]] = []
    for row in staging.rows():
        if "start" in row:
            rows = []
        elif "end" in row:
            state = None if row["state"] is None else ChatState(*row["state"])
            yield Group(row["end"], rows, row["whole"], state)
            rows = []
        else:
            rows.append((row["tech"], row["row"]))


def _joined(
    before: Iterator[tuple[int, T]], groups: Iterator[Group], gone: set[int], nothing: T
) -> Iterator[tuple[T, Group | None]]:
    """
    Merge the export before with the chats read now, both ascending.

    :param before: chats and what the export before has of them
    :param groups: the chats read now
    :param gone: chats that HelpCrunch no longer has, even if an earlier try has read them
    :param nothing: stands for a chat that the export before has not
    :return: what the export before has, and the group, of each chat; ``None`` for a chat that was not read
    """
    old, group = next(before, None), next(groups, None)
    while old or group:
        chat = min([*([old[0]] if old else []), *([group.chat] if group else [])])
        had, found = nothing, None
        if old and old[0] == chat:
            had, old = old[1], next(before, None)
        if group and group.chat == chat:
            found, group = group, next(groups, None)
        yield had, Group(chat, [], True, None) if chat in gone else found


def _number(row: Record) -> int:
    return int(row["id"])
