"""The endpoints of chats: lists, searches, single chats, new ones and updates."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.sandbox import complaints as texts
from airflow_provider_helpcrunch.sandbox import paging
from airflow_provider_helpcrunch.sandbox.chat_fields import BY_PATH, Change
from airflow_provider_helpcrunch.sandbox.customer_data import Customer
from airflow_provider_helpcrunch.sandbox.responses import Answer, chat_missing, entity_missing, error, invalid
from airflow_provider_helpcrunch.sandbox.search import Field, Grammar, ordering, search
from airflow_provider_helpcrunch.sandbox.team import APPLICATION_IDS

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.sandbox.account import Account
    from airflow_provider_helpcrunch.sandbox.chat_data import Chat
    from airflow_provider_helpcrunch.sandbox.journal import Request
    from airflow_provider_helpcrunch.sandbox.settings import Settings
TECH = {"status": "chat_status_changed_by_public_api", "assignee": "chat_assigned_by_public_api"}
"""The text of the ``tech`` message that an update adds, if asked to, by the field it changes."""

SORTS = {
    "createdAt": "created_at",
    "lastCustomerMessageAt": "last_customer_message_at",
    "lastMessageAt": "last_message_at",
    "closedAt": "closed_at",
}


def grammar(account: Account, settings: Settings) -> Grammar:
    """Return the words of a search of chats; those about customers look them up."""

    def customer(chat: Chat) -> Customer:
        return account.customers.get(chat.customer) or Customer(chat.customer)

    fields = {
        "chats.assignee": Field("int", lambda chat: chat.assignee),
        "chats.agents": Field("ints", lambda chat: chat.agents),
        "chats.department": Field("int", lambda chat: chat.department),
        "chats.createdAt": Field("date", lambda chat: chat.created_at),
        "chats.closedAt": Field("date", lambda chat: chat.closed_at),
        "chats.updatedAt": Field("date", lambda chat: chat.updated_at),
        "chats.status": Field("status", lambda chat: chat.status),
        "chats.rating": Field("string", lambda chat: chat.rating),
        "chats.customer": Field("int", lambda chat: chat.customer),
        "chats.customer.email": Field("string", lambda chat: customer(chat).email),
        "chats.customer.userId": Field("string", lambda chat: customer(chat).user_id),
        "chats.customer.tagsData": Field("tags", lambda chat: [name for name, _ in customer(chat).tags]),
    }
    if not settings.updated_at:
        del fields["chats.updatedAt"]
    return Grammar("chats", SORTS, fields)


def all_chats(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``GET /chats``."""
    query, wrong = ordering(request.query, grammar(account, settings))
    window, wrong_window = paging.window(request.query, settings)
    if complaints := wrong | wrong_window:
        return invalid(settings.errors, complaints)
    return paging.page(partial(account.chats.page, query), window, settings)


def one_chat(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``GET /chats/{id}``."""
    chat_id = request.chat
    if chat_id is None or account.chats.get(chat_id) is None:
        return chat_missing(settings.errors, old="Chat not found")
    return Answer(200, account.chats.encoded(chat_id))


def search_chats(account: Account, settings: Settings, request: Request) -> Answer:
    """Answer ``POST /chats/search``; without a body it finds all chats."""
    asked = {} if request.body is None else request.body
    if not isinstance(asked, dict):
        return invalid(settings.errors, {})
    query, wrong = search(asked, grammar(account, settings), ignore_filter=settings.ignore_filter)
    window, wrong_window = paging.window(asked, settings)
    if complaints := wrong | wrong_window:
        return invalid(settings.errors, complaints)
    return paging.page(partial(account.chats.page, query), window, settings, settings.search_total)


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
    customer = known.pop("customer")
    # The page of this method lists no 404, unlike those of the updates.
    unknown = {} if account.customers.get(customer) else {"customer": texts.INVALID}
    if known["application"] not in APPLICATION_IDS:
        unknown["application"] = texts.INVALID
    unknown |= {name: texts.INVALID for name in optional if not _exists(account, name, known[name])}
    if unknown:
        return invalid(settings.errors, unknown)
    made = account.chats.create(customer, **known)
    return Answer(settings.chat_status, account.chats.encoded(made), applied=True)


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
        if settings.tech_messages and change.name in TECH:
            account.chats.say(chat.id, TECH[change.name], type_="tech")
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
