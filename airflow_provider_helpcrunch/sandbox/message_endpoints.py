"""The endpoints of messages: those of a chat, and a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.sandbox import paging
from airflow_provider_helpcrunch.sandbox.complaints import BLANK, CHOICE, STRING, number
from airflow_provider_helpcrunch.sandbox.responses import (
    Answer,
    chat_missing,
    encode,
    entity_missing,
    invalid,
)

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.sandbox.account import Account
    from airflow_provider_helpcrunch.sandbox.journal import Request
    from airflow_provider_helpcrunch.sandbox.settings import Settings

TYPES = ("message", "private")


def all_messages(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``GET /chats/{id}/messages``: newest first."""
    chat = request.chat
    if chat is None or account.chats.get(chat) is None:
        return chat_missing(settings.errors, old="Chat is missing")
    window, complaints = paging.window(request.query, settings)
    if complaints:
        return invalid(settings.errors, complaints)

    def read(offset: int, limit: int, *, shuffled: bool) -> tuple[list[bytes], int]:
        rows = account.chats.messages(chat)[::-1]
        if shuffled:
            rows = account.shuffled(rows)
        return [encode(account.shape.message(each)) for each in rows[offset : offset + limit]], len(rows)

    return paging.page(read, window, settings, "root")


def create(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``POST /messages``: a message of an agent or, without one, of the customer; or a private note."""
    body = request.body if isinstance(request.body, dict) else {}
    complaints = _complaints(body)
    if complaints:
        named = {
            "id" if settings.errors == "old" and key == "chat" else key: complaints[key] for key in complaints
        }
        return invalid(settings.errors, named)
    chat, agent = int(body["chat"]), body.get("agent")
    if account.chats.get(chat) is None:
        return chat_missing(settings.errors, old="Chat is missing")
    if agent is not None and not account.has_agent(int(agent)):
        return entity_missing(settings.errors, "agent")
    text = body.get("markdownText") or body["text"]
    author = None if agent is None else int(agent)
    made = account.chats.say(chat, text, agent=author, type_=body["type"])
    return Answer(settings.message_status, encode(account.shape.message(made)), applied=True)


def _complaints(body: dict[str, Any]) -> dict[str, str]:
    wrong = {"chat": number(body.get("chat")), "text": _text(body.get("text"))}
    wrong["type"] = _text(body.get("type")) or (None if body["type"] in TYPES else CHOICE)
    if body.get("agent") is not None:
        wrong["agent"] = number(body["agent"])
    if body.get("markdownText") is not None:
        wrong["markdownText"] = _text(body["markdownText"])
    return {name: text for name, text in wrong.items() if text}


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return BLANK
    return None if isinstance(value, str) else STRING
