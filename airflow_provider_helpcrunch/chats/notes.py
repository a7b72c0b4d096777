"""
Notes: a private note to each chat that got another agent, never sent twice.

A note is due when its chat was moved, in doubt from the moment at which sending it begins, and then in the chat,
certainly not sent, or missing. What is in doubt is in the checkpoint, and is looked up in the chat. It is never sent
again: a note that is missing does less harm than one that is there twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.chats.failures import FAULTS, MOST_FAULTS, REFUSALS, failed
from airflow_provider_helpcrunch.chats.results import NOTE, Result, noted
from airflow_provider_helpcrunch.chats.sent_messages import Attempt, digest_of, newest_in, was_not_sent
from airflow_provider_helpcrunch.client.ids import id_of
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.exceptions import HelpCrunchError


class Notes:
    """
    Leaves a note in each moved chat.

    :param text: the text; ``None``: no notes
    :param agent: id of the agent who signs them; ``None``: nobody
    :param checkpoint: progress so far, kept up to date
    """

    def __init__(self, text: str | None, agent: int | None, checkpoint: Checkpoint) -> None:
        self.error: HelpCrunchError | None = None
        """Error of the latest note that was refused or failed."""
        self._text = text
        self._agent = agent
        self._at = checkpoint
        self._faults = 0
        self._newest: int | None = None

    def counts(self) -> dict[str, int]:
        """Return how many notes are in their chats, and how many chats were moved without theirs."""
        latest = self._at.results.standing()
        noted = {result.id for result in latest if result.outcome == "noted"}
        moved = {result.id for result in latest if result.is_move} if self._text else set()
        return {"notes": len(noted), "notes_missing": len(moved - noted)}

    def send_due(self, client: HelpCrunchClient) -> Iterator[Result]:
        """
        Leave the notes that are due, also those of earlier tries.

        :param client: the account. One request for each note
        :return: a result for each note
        :raises HelpCrunchError: see :meth:`send`
        """
        for chat in [result.id for result in self._at.results.made() if result.is_move]:
            yield from self.send(client, chat)

    def send(self, client: HelpCrunchClient, chat: int) -> Iterator[Result]:
        """
        Leave a note in a moved chat, unless it has one, or may have one.

        :param client: the account. One request; before the first note one more
        :param chat: the chat's id
        :return: the result; none if there is nothing to do
        :raises HelpCrunchRateLimitError: no request is allowed; the note is still due
        :raises HelpCrunchError: the key was refused, or three notes in a row failed
        """
        if self._text is None or not self._is_due(chat):
            return
        try:
            # Only the first note needs a look into the chat: notes of earlier runs are older than it, in all chats.
            newest = newest_in(client, chat) if self._newest is None else self._newest
        except (*REFUSALS, *FAULTS) as error:
            result = self._failed(Result(chat, NOTE, None, None, "failed"), error)
        else:
            result = self._sent(client, Result(chat, NOTE, newest, None, "noted"))
        self._at.results.add(result)
        yield result
        if self._faults >= MOST_FAULTS and self.error is not None:
            raise self.error

    def _sent(self, client: HelpCrunchClient, begun: Result) -> Result:
        """Send a note, and leave it in the checkpoint while it is in doubt."""
        in_doubt, requests = self._at.in_doubt, client.usage.requests
        in_doubt.append(begun)
        try:
            self._at.hold()
            message = client.send_message(begun.id, self._text or "", agent=self._agent, private=True)
        except BaseException as error:
            is_unsent = was_not_sent(error, requests=client.usage.requests - requests)
            if is_unsent:
                in_doubt.pop()
            if not isinstance(error, (*REFUSALS, *FAULTS)):
                raise
            result = self._failed(begun._replace(before=None) if is_unsent else begun, error)
            if not is_unsent:
                in_doubt[-1] = result
            return result
        in_doubt.pop()
        self._newest, self._faults = id_of(message), 0
        return noted(begun.id)

    def _failed(self, result: Result, error: HelpCrunchError) -> Result:
        self.error = error
        self._faults = 0 if isinstance(error, REFUSALS) else self._faults + 1
        return failed(result, error)

    def is_noted(self, client: HelpCrunchClient, doubt: Result) -> bool:
        """
        Say whether a note in doubt is in its chat.

        :param client: the account. One request
        :param doubt: the note
        :raises HelpCrunchError: the messages of the chat cannot be read
        """
        text = self._text or ""
        attempt = Attempt(
            doubt.id, digest_of(text), private=True, agent=self._agent, rendered=False, newest=doubt.before
        )
        return attempt.is_in_chat(client) is True

    def _is_due(self, chat: int) -> bool:
        note = self._at.results.latest(chat, NOTE)
        if any(doubt.id == chat and doubt.field == NOTE for doubt in self._at.in_doubt):
            return False
        if note is None:
            return True
        return note.is_unsent_note and self._at.results.of_this_try(chat, NOTE) is None


def check_author(agent: int | None, found: Container[int]) -> None:
    """
    Refuse notes that nobody could sign.

    :param agent: id of the agent who signs them; ``None``: nobody
    :param found: ids of the account's agents
    :raises HelpCrunchConfigurationError: the account has no such agent
    """
    if agent is not None and agent not in found:
        msg = f"note_agent names {agent}, but the account has no such agent. Nothing was changed."
        raise HelpCrunchConfigurationError(msg)
