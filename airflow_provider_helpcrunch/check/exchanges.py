"""Questions about requests: searches, errors and the rate limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.check.answers import (
    Answer,
    Question,
    contradicted,
    listed,
    unanswered,
    without_page,
)
from airflow_provider_helpcrunch.client.vocabulary import status_of
from airflow_provider_helpcrunch.plurals import counted
from airflow_provider_helpcrunch.unix_time import parse_timestamp

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.check.replies import Replies, Reply
    from airflow_provider_helpcrunch.schema import Record

OLD_CODES = ("chat_not_found", "entity_not_found", "invalid_chat_value", "invalid_token")


def _key(replies: Replies) -> Answer:
    return Answer("accepted")


def _closed_by_word(replies: Replies) -> Answer:
    if (reason := _unsearched(replies.closed, replies)) is not None:
        return unanswered(reason)
    text, is_right = _found(replies.closed, replies)
    if is_right:
        return Answer(text)
    return contradicted(
        text,
        "Searches by status cannot be trusted here. ReassignChatsOperator notices and reads all chats; "
        "SearchChatsOperator checks each chat, but finds only what HelpCrunch sends.",
    )


def _closed_by_number(replies: Replies) -> Answer:
    if (reason := _unsearched(replies.numbered, replies)) is not None:
        return unanswered(reason)
    return Answer(_found(replies.numbered, replies)[0])


def _unsearched(reply: Reply, replies: Replies) -> str | None:
    """Return why a search shows nothing; ``None`` if it shows something."""
    if replies.before is None or not _expected(replies):
        return "no closed chat is on the first page"
    return reply.problem or None


def _expected(replies: Replies) -> set[int]:
    """Return the ids of all closed chats that were created before the second that the searches name."""
    page = replies.oldest.page
    if page is None:
        return set()
    return {number for number, chat in zip(page.ids, page.records, strict=True) if _is_wanted(chat, replies)}


def _is_wanted(chat: Record, replies: Replies) -> bool:
    created = parse_timestamp(chat.get("createdAt"))
    is_before = created is not None and created.timestamp() < (replies.before or 0)
    return is_before and status_of(chat.get("status")) == "closed"


def _found(reply: Reply, replies: Replies) -> tuple[str, bool]:
    """Return what a search for closed chats found, in words, and whether it is all of them and nothing else."""
    if reply.page is None:
        return without_page(reply), False
    wanted, found = _expected(replies), set(reply.page.ids)
    if any(not _is_wanted(chat, replies) for chat in reply.records):
        return "ignored: chats that do not match were found", False
    if not found:
        return "nothing found, although there are closed chats", False
    if found == wanted:
        return "finds closed chats", True
    return f"found {len(found)} of {counted(len(wanted), 'closed chat')}", False


def _nothing(replies: Replies) -> Answer:
    reply = replies.nothing
    if reply.status == 404:
        return Answer("404")
    if reply.is_refusal:
        return contradicted(f"refused with {reply.status}", "A search that finds nothing fails.")
    if reply.page is None:
        return unanswered(without_page(reply))
    if reply.records:
        return contradicted(
            "chats that do not match", "Searches cannot be trusted here: filters are ignored."
        )
    return Answer("an empty page with a total above 0" if reply.total else "an empty page")


def _updated_at(replies: Replies) -> Answer:
    reply = replies.updated
    if reply.problem:
        return unanswered(reply.problem)
    return Answer(f"refused with {reply.status}" if reply.is_refusal else "accepted")


def _missing(replies: Replies) -> Answer:
    reply = replies.missing
    if reply.problem:
        return unanswered(reply.problem)
    if reply.status in (400, 404):
        return Answer(str(reply.status))
    text = "an empty success" if reply.is_success else str(reply.status)
    return contradicted(
        text, "A plan that names a chat which is gone may fail as a whole instead of listing the chat."
    )


def _errors(replies: Replies) -> Answer:
    refusals = [
        reply
        for reply in (replies.missing, replies.above, replies.updated, replies.nothing)
        if reply.is_refusal
    ]
    if not refusals:
        return unanswered("nothing was refused")
    codes = next((reply.codes for reply in refusals if reply.codes), ())
    if not codes:
        return Answer("no list of errors")
    if codes[0] == "invalid_request":
        return Answer("as newly documented: a general one first, then the specific ones")
    return Answer(
        "as formerly documented: one, with a code of its own" if codes[0] in OLD_CODES else "others"
    )


def _limit_headers(replies: Replies) -> Answer:
    names = sorted(replies.headers - {"retry-after"})
    seen = f"in {counted(replies.responses, 'response')}"
    return Answer(f"{listed(names)} {seen}" if names else f"none {seen}")


def _retry_after(replies: Replies) -> Answer:
    if not replies.refused:
        return unanswered("no request was answered 429, and a check does not provoke it")
    return Answer("sent with a 429" if "retry-after" in replies.headers else "a 429 came without it")


def _window(replies: Replies) -> Answer:
    return unanswered("not asked: only using up the limit could show it")


def _changes(replies: Replies) -> Answer:
    return unanswered("not asked: a check changes nothing")


QUESTIONS = (
    Question("key", "API key", "each request sends it", _key),
    Question(
        "status_by_word",
        "status search by word",
        "a search by status uses the word, and each chat is checked",
        _closed_by_word,
    ),
    Question("status_by_number", "status search by number", "not used", _closed_by_number),
    Question("empty_search", "search without a match", "an empty page or 404: either is empty", _nothing),
    Question("updated_at", "search by updatedAt", "not used, as the documentation dropped it", _updated_at),
    Question("missing_chat", "unknown chat", "404 or 400: the chat is listed as refused", _missing),
    Question("errors", "error bodies", "the status decides, and all errors are shown", _errors),
    Question("limit_headers", "rate limit headers", "not needed", _limit_headers),
    Question("retry_after", "Retry-After", "obeyed; without it, the window is waited out", _retry_after),
    Question("window", "rate limit window", "120 requests in any 60 seconds, the strictest reading", _window),
    Question(
        "changes",
        "changes",
        "any 2xx is a success, Ok may be JSON or text, and the record sent back must show the change",
        _changes,
    ),
)
"""What an account may answer differently about requests."""
