"""The endpoints that create and update chats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.sandbox import complaints as texts
from airflow_provider_helpcrunch.sandbox.answers import Answer, chat_missing, entity_missing, error, invalid
from airflow_provider_helpcrunch.sandbox.chat_fields import BY_PATH, Change

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.sandbox.account import Account
    from airflow_provider_helpcrunch.sandbox.chat_data import Chat
    from airflow_provider_helpcrunch.sandbox.journal import Request
    from airflow_provider_helpcrunch.sandbox.settings import Settings


def create(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``POST /chats``: 201 with an empty chat."""
    body = request.body if isinstance(request.body, dict) else {}
    wrong = {name: texts.number(body.get(name)) for name in ("customer", "application")}
    optional = [name for name in ("assignee", "department") if body.get(name) is not None]
    wrong |= {name: texts.number(body[name]) for name in optional}
    complaints = {name: text for name, text in wrong.items() if text}
    if complaints:
        return invalid(settings.errors, complaints)
    known = {name: int(body[name]) for name in ("customer", "application", *optional)}
    customer = account.chats.customer(known.pop("customer"))
    # The page of this method lists no 404, unlike those of the updates.
    unknown = {} if customer else {"customer": texts.INVALID}
    unknown |= {name: texts.INVALID for name in optional if not _exists(account, name, known[name])}
    if unknown:
        return invalid(settings.errors, unknown)
    return Answer(201, account.chats.encoded(account.chats.create(customer, **known)), applied=True)


def update(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer one of the ``PUT /chats/…``: 200 with the chat as it is then."""
    change = BY_PATH[request.path.rstrip("/").rpartition("/")[2]]
    body = request.body if isinstance(request.body, dict) else {}
    wrong = {"id": texts.number(body.get("id")), change.name: change.wrong(body)}
    complaints = {name: text for name, text in wrong.items() if text}
    if complaints:
        return invalid(settings.errors, complaints)
    chat = account.chats.get(int(body["id"]))
    if chat is None:
        return _missing(change, body["id"], settings)
    value = change.read(body[change.name])
    if value is not None and not _exists(account, change.name, value):
        return entity_missing(settings.errors, change.name)
    if change.name == "rating" and (objection := _not_ratable(chat)):
        return error(400, settings.errors, {"invalid_request": objection})
    if not settings.ignore_write:
        account.chats.change(chat.id, **{change.field: value})
    return Answer(200, account.chats.encoded(chat.id), applied=not settings.ignore_write)


def _exists(account: Account, name: str, value: Any) -> bool:
    if name == "assignee":
        return account.has_agent(value)
    return account.has_department(value) if name == "department" else True


def _missing(change: Change, chat_id: Any, settings: Settings) -> Answer:
    if change.field.startswith("read_by") and settings.errors == "new":
        # The code is misspelt on the page of this method.
        return error(404, "new", {"not_fount": f'Chat for ID "{chat_id}" was not found'})
    return chat_missing(settings.errors, old="Chat is missing")


def _not_ratable(chat: Chat) -> str | None:
    if chat.status != "closed":
        return "Chat must me closed to rate"
    if chat.rating is not None:
        return "Chat is already rated"
    # Who wrote last among the agents is what the account knows of their messages.
    return "Chat must have at least one agent message" if chat.last_agent is None else None
