"""Every documented endpoint has a client method, a route of the sandbox and a row of the documentation."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.get_provider_info import get_provider_info
from airflow_provider_helpcrunch.sandbox import Sandbox

Start = Callable[..., Sandbox]
Connect = Callable[..., HelpCrunchClient]

PAGE = Path(__file__).parents[2] / "docs" / "endpoints.md"
PACKAGE = Path(__file__).parents[2] / "airflow_provider_helpcrunch"


class Ids(NamedTuple):
    """Records of the sandbox that the calls are about."""

    agent: int
    application: int
    chat: int
    closed: int
    customer: int
    department: int


ENDPOINTS: dict[tuple[str, str], tuple[str, Callable[[HelpCrunchClient, Ids], Any]]] = {
    ("GET", "/chats"): ("iter_chats", lambda client, _: next(client.iter_chats())),
    ("GET", "/chats/{id}"): ("get_chat", lambda client, ids: client.get_chat(ids.chat)),
    ("POST", "/chats/search"): ("iter_search_chats", lambda client, _: next(client.iter_search_chats())),
    ("POST", "/chats"): (
        "create_chat",
        lambda client, ids: client.create_chat(ids.customer, ids.application),
    ),
    ("PUT", "/chats/status"): (
        "update_chat_status",
        lambda client, ids: client.update_chat_status(ids.chat, "pending"),
    ),
    ("PUT", "/chats/assignee"): (
        "update_chat_assignee",
        lambda client, ids: client.update_chat_assignee(ids.chat, ids.agent),
    ),
    ("PUT", "/chats/department"): (
        "update_chat_department",
        lambda client, ids: client.update_chat_department(ids.chat, ids.department),
    ),
    ("PUT", "/chats/snooze"): (
        "snooze_chat",
        lambda client, ids: client.snooze_chat(ids.chat, 2_000_000_000),
    ),
    ("PUT", "/chats/rate"): ("rate_chat", lambda client, ids: client.rate_chat(ids.closed, "great")),
    ("PUT", "/chats/readByAgent"): (
        "mark_chat_read",
        lambda client, ids: client.mark_chat_read(ids.chat, "agent"),
    ),
    ("PUT", "/chats/readByCustomer"): (
        "mark_chat_read",
        lambda client, ids: client.mark_chat_read(ids.chat, "customer"),
    ),
    ("GET", "/chats/{id}/messages"): (
        "iter_messages",
        lambda client, ids: next(client.iter_messages(ids.chat)),
    ),
    ("POST", "/messages"): (
        "send_message",
        lambda client, ids: client.send_message(ids.chat, "Hello", agent=ids.agent),
    ),
    ("GET", "/customers"): ("iter_customers", lambda client, _: next(client.iter_customers())),
    ("GET", "/customers/{id}"): ("get_customer", lambda client, ids: client.get_customer(ids.customer)),
    ("POST", "/customers/search"): (
        "iter_search_customers",
        lambda client, _: next(client.iter_search_customers()),
    ),
    ("POST", "/customers"): ("create_customer", lambda client, _: client.create_customer({"name": "New"})),
    ("PUT", "/customers/{id}"): (
        "replace_customer",
        lambda client, ids: client.replace_customer(ids.customer, {"name": "Other"}),
    ),
    ("PATCH", "/customers/{id}"): (
        "update_customer",
        lambda client, ids: client.update_customer(ids.customer, {"name": "Other"}),
    ),
    ("PUT", "/customers/batch"): (
        "update_customers",
        lambda client, ids: client.update_customers([{"customer": ids.customer, "name": "Other"}]),
    ),
    ("PUT", "/customers/{id}/tags"): (
        "add_customer_tags",
        lambda client, ids: client.add_customer_tags(ids.customer, ["new"]),
    ),
    ("DELETE", "/customers/{id}/tags"): (
        "remove_customer_tags",
        lambda client, ids: client.remove_customer_tags(ids.customer, ["new"]),
    ),
    ("DELETE", "/customers/{id}"): (
        "delete_customer",
        lambda client, ids: client.delete_customer(ids.customer),
    ),
    ("POST", "/events"): (
        "create_event",
        lambda client, ids: client.create_event(ids.customer, "paid", {"sum": 3}),
    ),
    ("GET", "/agents"): ("iter_agents", lambda client, _: next(client.iter_agents())),
    ("GET", "/agents/{id}/unsubscribe"): (
        "unsubscribe_agent",
        lambda client, ids: client.unsubscribe_agent(ids.agent),
    ),
    ("GET", "/departments"): ("iter_departments", lambda client, _: next(client.iter_departments())),
    ("GET", "/applications"): ("iter_applications", lambda client, _: next(client.iter_applications())),
    ("GET", "/organization"): ("get_organization", lambda client, _: client.get_organization()),
}


def table() -> list[list[str]]:
    """Return the cells of the rows of the page's table, in its order."""
    rows = re.findall(
        r"^\| ([A-Z]+) \| (.+) \| (.+) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    return [[cell.strip("`") if place < 2 else cell for place, cell in enumerate(row)] for row in rows]


def names(cell: str) -> list[str]:
    """Return the names that a cell of the table quotes."""
    return re.findall(r"`(\w+)`", cell)


@pytest.fixture
def account(sandbox: Start) -> Sandbox:
    return sandbox(agents=3, departments=2, chats=40)


def ids_of(account: Sandbox) -> Ids:
    opened = next(chat for chat in account.chats if chat["status"] == "opened")
    closed = next(
        chat for chat in account.chats if chat["status"] == "closed" and chat["agents"] and not chat["rating"]
    )
    agent, department = account.agents[0]["id"], account.departments[0]["id"]
    return Ids(
        agent, opened["applicationId"], opened["id"], closed["id"], opened["customer"]["id"], department
    )


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_an_endpoint_has_a_client_method(account: Sandbox, client: Connect, method: str, path: str) -> None:
    name, call = ENDPOINTS[method, path]
    assert callable(getattr(HelpCrunchClient, name))
    call(client(account), ids_of(account))
    sent = account.journal[0]
    assert sent.method == method
    assert re.fullmatch("/v1" + path.replace("{id}", "[0-9]+"), sent.path)
    assert sent.status in (200, 201)


def test_the_page_has_each_endpoint_once_with_its_method() -> None:
    rows = table()
    assert [(method, path) for method, path, *_ in rows] == list(ENDPOINTS)
    for method, path, methods, _ in rows:
        assert ENDPOINTS[method, path][0] in names(methods)
        assert all(hasattr(HelpCrunchClient, name) for name in names(methods))


def test_the_page_names_operators_that_exist() -> None:
    folders = [PACKAGE / name for name in ("operators", "sensors", "triggers")]
    sources = "".join(path.read_text("utf-8") for folder in folders for path in folder.rglob("*.py"))
    assert get_provider_info()["operators"]
    for *_, operators in table():
        assert operators == "—" or names(operators)
        assert all(f"class {name}(" in sources for name in names(operators))


def test_there_are_29_endpoints() -> None:
    assert len(ENDPOINTS) == 29


@pytest.mark.parametrize("name", sorted({name for name, _ in ENDPOINTS.values()}))
def test_a_docstring_names_its_page_and_every_argument(name: str) -> None:
    method = getattr(HelpCrunchClient, name)
    text = method.__doc__ or ""
    assert re.search(r"API: https://docs\.helpcrunch\.com/rest-api-v1/[a-z0-9-]+", text)
    arguments = [each for each in method.__annotations__ if each != "return"]
    assert [each for each in arguments if f":param {each}:" not in text] == []
