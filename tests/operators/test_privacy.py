"""``columns``, ``hash`` and ``hash_salt``: what they exclude is in no object, log or XCom."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow_names import DAG
from airflow_process import run

from airflow_provider_helpcrunch import _airflow
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchResponseError
from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.operators.chats import ListChatsOperator, SearchChatsOperator
from airflow_provider_helpcrunch.operators.departments import ListDepartmentsOperator
from airflow_provider_helpcrunch.operators.privacy import Salt
from airflow_provider_helpcrunch.privacy import Privacy
from airflow_provider_helpcrunch.sandbox import Sandbox, endpoints
from airflow_provider_helpcrunch.sandbox.responses import encode
from airflow_provider_helpcrunch.schema import AGENTS, CHATS, DEPARTMENTS
from airflow_provider_helpcrunch.storage import read_records

SALT = "hX4vQ9mZ2kT7bR5w"
CANARY = "canary"

OPERATORS: dict[str, tuple[Any, str, Any]] = {
    "agents": (ListAgentsOperator, "/v1/agents", AGENTS),
    "departments": (ListDepartmentsOperator, "/v1/departments", DEPARTMENTS),
    "chats": (ListChatsOperator, "/v1/chats", CHATS),
    "search": (SearchChatsOperator, "/v1/chats/search", CHATS),
}
AGENT = ("name", "email")
CHAT = (
    *("lastMessageText", "customer.name", "customer.email", "customer.userId"),
    *(f"{whose}.{field}" for whose in ("agents", "assignee") for field in AGENT),
)
PERSONAL = {
    "agents": AGENT,
    "departments": tuple(f"agents.{field}" for field in AGENT),
    "chats": CHAT,
    "search": CHAT,
}
"""The personal fields of each resource: a canary is in all of them."""

KEPT = {
    "agents": ["id", "role"],
    "departments": ["name", "agents.id"],
    "chats": ["status", "customer.id", "agents.role", "assignee.id"],
    "search": ["id", "createdAt", "customer.id", "department"],
}


def choices(resource: str) -> dict[str, dict[str, Any]]:
    return {
        "kept": {"columns": KEPT[resource]},
        "left out": {"columns": [f"-{name}" for name in PERSONAL[resource]]},
        "hashed": {"hash": list(PERSONAL[resource]), "hash_salt": SALT},
    }


def planted(record: dict[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Put the canary into the fields of a record as HelpCrunch sends it."""
    for name in fields:
        outer, _, inner = name.rpartition(".")
        if not outer:
            record[inner] = f"{CANARY} {name}"
            continue
        objects = record.get(outer) or {"id": 7}
        record[outer] = [objects] if outer == "agents" and isinstance(objects, dict) else objects
        for each in record[outer] if isinstance(record[outer], list) else [record[outer]]:
            each[inner] = f"{CANARY} {name}"
    return record


@pytest.fixture
def account(
    sandbox: Callable[..., Sandbox], connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Sandbox:
    """An account with the canary in all personal fields of its agents, departments and chats."""
    server = sandbox(agents=5, departments=2, chats=8)
    connection(server, requests_per_minute=3000, rate_limit_store="memory://")

    def planting(honest: Any, fields: tuple[str, ...]) -> Any:
        def answer(*arguments: Any) -> Any:
            found = honest(*arguments)
            payload = json.loads(found.body)
            payload["data"] = [planted(record, fields) for record in payload["data"]]
            return replace(found, body=encode(payload))

        return answer

    for resource, (_, path, _) in OPERATORS.items():
        method = "POST" if resource == "search" else "GET"
        honest = endpoints.ROUTES[method, path]
        monkeypatch.setitem(endpoints.ROUTES, (method, path), planting(honest, PERSONAL[resource]))
    return server


@pytest.mark.parametrize("choice", ["nothing", "kept", "left out", "hashed"])
@pytest.mark.parametrize("suffix", [None, "jsonl", "csv", "parquet"])
@pytest.mark.parametrize("resource", OPERATORS)
def test_what_is_excluded_is_nowhere(
    resource: str,
    suffix: str | None,
    choice: str,
    account: Sandbox,
    task_log: Callable[[Any], list[str]],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.DEBUG)
    kind, _, table = OPERATORS[resource]
    path = tmp_path / f"records.{suffix}"
    chosen = choices(resource).get(choice, {})
    operator = kind(task_id="list", output_path=suffix and str(path), **chosen)
    lines = task_log(operator)
    result = operator.execute({})
    privacy = Privacy.of(table, chosen.get("columns"), chosen.get("hash"), chosen.get("hash_salt"))
    rows = list(read_records(result, table=privacy.table)) if suffix else result
    assert len(rows) == result["records"] if suffix else rows
    traces = [json.dumps(result), *lines, caplog.text]
    assert not any(SALT in trace for trace in traces)
    if choice == "nothing":
        assert CANARY in str(rows)
        assert CANARY not in str(lines) + caplog.text
        return
    assert CANARY not in str(rows)
    assert not any(CANARY in trace for trace in traces)
    if suffix:
        assert CANARY.encode() not in path.read_bytes()
        assert SALT.encode() not in path.read_bytes()


@pytest.mark.parametrize("suffix", [None, "jsonl", "csv", "parquet"])
def test_hashes_join_resources(
    suffix: str | None, sandbox: Callable[..., Sandbox], connection: Callable[..., None], tmp_path: Path
) -> None:
    server = sandbox(agents=5, departments=2, chats=20)
    connection(server, requests_per_minute=3000, rate_limit_store="memory://")

    def listed(operator: Any, table: Any, *hashed: str) -> list[dict[str, Any]]:
        path = None if suffix is None else str(tmp_path / f"{operator.__name__}.{suffix}")
        result = operator(task_id="list", output_path=path, hash=hashed, hash_salt=SALT).execute({})
        choice = Privacy.of(table, None, hashed, SALT)
        return list(read_records(result, table=choice.table)) if suffix else result

    email_of = {agent["id"]: agent["email"] for agent in listed(ListAgentsOperator, AGENTS, "email")}
    assert {len(email) for email in email_of.values()} == {64}
    chats = listed(ListChatsOperator, CHATS, "assignee.email", "agents.email")
    departments = listed(ListDepartmentsOperator, DEPARTMENTS, "agents.email")
    people = [chat["assignee"] for chat in chats if chat["assignee"]]
    people += [agent for row in [*chats, *departments] for agent in row["agents"] or ()]
    assert len(people) > 15
    assert all(person["email"] == email_of[person["id"]] for person in people)


def test_a_csv_file_has_the_columns_that_are_left(account: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "agents.csv"
    ListAgentsOperator(task_id="agents", output_path=str(path), columns=["role"]).execute({})
    assert path.read_text().splitlines()[0] == "id,role"


class TestConditions:
    """Conditions are about the records as HelpCrunch sent them."""

    def test_roles(self, account: Sandbox) -> None:
        rows = ListAgentsOperator(task_id="agents", roles="admin", columns=["id"]).execute({})
        assert rows == [{"id": agent["id"]} for agent in account.agents if agent["role"] == "admin"]
        assert rows

    def test_statuses(self, account: Sandbox) -> None:
        rows = SearchChatsOperator(
            task_id="search", statuses="closed", columns=["-status", "-statusRaw"]
        ).execute({})
        assert [row["id"] for row in rows] == [
            chat["id"] for chat in account.chats if chat["status"] == "closed"
        ]
        assert rows
        assert "status" not in rows[0]

    @pytest.mark.parametrize(
        "choice", [{"columns": ["name"]}, {"columns": ["-role"]}, {"hash": ["role"], "hash_salt": SALT}]
    )
    def test_roles_that_are_excluded_are_not_told(
        self, choice: dict[str, Any], account: Sandbox, task_log: Callable[[Any], list[str]]
    ) -> None:
        operator = ListAgentsOperator(task_id="agents", roles="owner", **choice)
        lines = task_log(operator)
        operator.execute({})
        assert "No agent has the role owner." in lines


@pytest.mark.parametrize(
    ("columns", "hashed"),
    [
        ("status, customer.email", "customer.email"),
        ('["status", "customer.email"]', '["customer.email"]'),
        (("status", "customer.email"), ("customer.email",)),
    ],
)
def test_lists_may_be_rendered_as_text(columns: Any, hashed: Any, account: Sandbox) -> None:
    rows = ListChatsOperator(task_id="chats", columns=columns, hash=hashed, hash_salt=SALT).execute({})
    assert [set(row) for row in rows] == [{"id", "status", "customer"}] * 8
    assert {len(row["customer"]["email"]) for row in rows} == {64}


REFUSED = [
    ({"columns": ["mail"]}, "columns names 'mail', which is no column of"),
    ({"columns": ["-id"]}, "columns leaves out id, which must stay as it is"),
    ({"columns": ["id", "-name"]}, "name only columns to keep, or only columns to leave out"),
    ({"columns": []}, "columns is an empty list"),
    ({"columns": {"id": 1}}, "columns must be a list of column names"),
    ({"hash": ["name"]}, "hash needs hash_salt"),
    ({"hash": ["name"], "hash_salt": ""}, "hash_salt is empty"),
    ({"hash": ["name"], "hash_salt": "pepper"}, "hash_salt must have at least 8 characters"),
    ({"hash": ["name"], "hash_salt": 12345678}, "hash_salt must be a text, not int"),
    ({"hash": ["id"], "hash_salt": SALT}, "hash names id, which must stay as it is"),
    (
        {"columns": ["-name"], "hash": ["name"], "hash_salt": SALT},
        "hash names name, which columns leaves out",
    ),
]


@pytest.mark.parametrize(
    ("choice", "message"), REFUSED, ids=lambda value: value if isinstance(value, str) else ""
)
@pytest.mark.parametrize("resource", ["agents", "departments"])
def test_a_choice_that_makes_no_sense_costs_no_request(
    resource: str, choice: dict[str, Any], message: str, account: Sandbox, tmp_path: Path
) -> None:
    kind, _, _ = OPERATORS[resource]
    path = tmp_path / "new" / "records.csv"
    with pytest.raises(HelpCrunchConfigurationError, match=message) as caught:
        kind(task_id="list", output_path=str(path), **choice).execute({})
    assert account.journal == []
    assert not path.parent.exists()
    assert not any(salt in str(caught.value) for salt in (SALT, "pepper", "12345678"))


def test_a_text_in_place_of_an_object_is_not_passed_on(
    account: Sandbox, monkeypatch: pytest.MonkeyPatch, task_log: Callable[[Any], list[str]], tmp_path: Path
) -> None:
    honest = endpoints.ROUTES["GET", "/v1/chats"]

    def answer(*arguments: Any) -> Any:
        found = honest(*arguments)
        payload = json.loads(found.body)
        payload["data"][3]["customer"] = CANARY
        return replace(found, body=encode(payload))

    monkeypatch.setitem(endpoints.ROUTES, ("GET", "/v1/chats"), answer)
    path = tmp_path / "chats.jsonl"
    operator = ListChatsOperator(task_id="chats", output_path=str(path), columns=["-customer.email"])
    lines = task_log(operator)
    with pytest.raises(HelpCrunchResponseError, match="type str in customer") as caught:
        operator.execute({})
    assert CANARY not in str(lines) + str(caught.value)
    assert not path.exists()


class TestSalt:
    @pytest.fixture
    def masked(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        masked: list[str] = []
        monkeypatch.setattr(_airflow, "mask_secret", masked.append)
        return masked

    def test_it_is_masked_once_it_is_rendered(self, masked: list[str]) -> None:
        with DAG("dag", schedule=None):
            task = ListAgentsOperator(task_id="agents", hash_salt="{{ params.salt }}")
        assert masked == []
        task.render_template_fields({"params": {"salt": SALT}})  # type: ignore[typeddict-item]
        assert masked == [SALT]
        assert task.hash_salt == Salt(SALT)
        assert f"{task.hash_salt} {task.hash_salt!r} {vars(task)['_hash_salt']}" == "*** *** ***"

    def test_it_is_masked_if_it_is_no_template(self, masked: list[str]) -> None:
        ListAgentsOperator(task_id="agents", hash_salt=SALT)
        ListAgentsOperator(task_id="agents", hash_salt=12345678)  # type: ignore[arg-type]
        assert masked == [SALT, "12345678"]

    def test_the_default_is_not(self, masked: list[str]) -> None:
        ListAgentsOperator(task_id="agents")
        assert masked == []


TASKS = """
import os, sys
from datetime import datetime

sys.path.insert(0, os.environ["TESTS"])
from airflow_names import DAG

from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator

choice = {"hash": ["email"], "hash_salt": "{{ var.value.plain_name }}"}
with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    ListAgentsOperator(task_id="one", **choice)
    ListAgentsOperator.partial(task_id="mapped", **choice).expand(page_size=[50, 100])

if __name__ == "__main__":
    for task in dag.test().get_task_instances():
        print("state:", task.task_id, str(task.state))
"""


@pytest.mark.long
def test_the_view_of_rendered_templates_hides_it(sandbox: Callable[..., Sandbox], tmp_path: Path) -> None:
    output = run(
        TASKS,
        tmp_path,
        AIRFLOW_CONN_HELPCRUNCH_DEFAULT=sandbox().connection(requests_per_minute=1000),
        AIRFLOW_VAR_PLAIN_NAME=SALT,
    )
    states = [line.split()[-1] for line in output.splitlines() if line.startswith("state:")]
    assert states == ["success"] * 3, output[-5000:]
    assert SALT not in output
    with sqlite3.connect(tmp_path / "airflow.db") as database:
        rendered = database.execute("select rendered_fields from rendered_task_instance_fields").fetchall()
    assert len(rendered) == 3
    assert all('"hash_salt": "***"' in fields for (fields,) in rendered)
