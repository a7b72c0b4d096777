"""Arguments of the operators about chats: a wrong one is refused before the first request, every right one works."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow_names import DAG
from numpy_integer import NumPyInteger

from airflow_provider_helpcrunch._airflow import BaseOperator
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.operators.chats import (
    ListChatsOperator,
    ReassignChatsOperator,
    SearchChatsOperator,
    UpdateChatAssigneeOperator,
    UpdateChatsOperator,
)
from airflow_provider_helpcrunch.sandbox import Sandbox

SetConnection = Callable[..., None]
StartSandbox = Callable[..., Sandbox]

CHAT = 4410001
RIGHT: dict[Any, dict[str, Any]] = {
    SearchChatsOperator: {},
    ListChatsOperator: {},
    ReassignChatsOperator: {"from_agents": 1001, "to_agents": [1002]},
    UpdateChatsOperator: {"plan": [{"id": CHAT, "assignee": 1002}]},
    UpdateChatAssigneeOperator: {"chat_id": CHAT, "assignee_id": 1002},
}
"""Arguments with which each operator works."""

BULK = (ReassignChatsOperator, UpdateChatsOperator)
LISTS = (SearchChatsOperator, ListChatsOperator)


def refused(operator: Any, **arguments: Any) -> str:
    """Return what is said when an operator is executed with its right arguments but for these."""
    task = operator(task_id="task", **{**RIGHT[operator], **arguments})
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        task.execute({})
    return str(caught.value)


@pytest.fixture
def server(sandbox: StartSandbox, connection: SetConnection, tmp_path: Path) -> Iterator[Sandbox]:
    """Serve an account that must not hear anything, while nothing may be written either."""
    server = sandbox(agents=5, chats=20)
    connection(server)
    before = sorted(tmp_path.rglob("*"))
    yield server
    assert server.journal == []
    assert sorted(tmp_path.rglob("*")) == before


def check(said: str, expected: str) -> None:
    assert expected in said
    assert "\n" not in said
    assert said.endswith((".", ")"))
    assert len(said) < 500


class TestEveryBulkOperator:
    @pytest.mark.parametrize("operator", BULK)
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"on_error": "ignore"}, "on_error must be fail_at_end, fail_fast or report, not 'ignore'"),
            ({"on_error": None}, "on_error must be"),
            ({"on_error": ""}, "on_error must be"),
            ({"on_error": ["report"]}, "on_error must be"),
            ({"patience": "soon"}, "patience must be a whole number from 1 to 604800, not 'soon'"),
            ({"patience": -1}, "patience must be"),
            ({"patience": 0}, "patience must be"),
            ({"patience": ""}, "patience must be"),
            ({"patience": "0"}, "patience must be"),
            ({"patience": 1.5}, "patience must be"),
            ({"patience": True}, "patience must be"),
            ({"patience": "None"}, "patience must be"),
            ({"patience": 604801}, "patience must be"),
            ({"max_xcom_bytes": 0}, "max_xcom_bytes must be"),
            ({"max_xcom_bytes": None}, "max_xcom_bytes must be"),
            ({"max_xcom_bytes": "1 MB"}, "max_xcom_bytes must be"),
            ({"report_format": "jsonl"}, "report_format needs report_path"),
            ({"report_path": ""}, "path is empty"),
            ({"report_path": "None"}, "a template rendered a value that is not set"),
            ({"report_path": "{tmp}/report"}, "no suffix that names a format"),
            ({"report_path": "{tmp}/report.xlsx"}, "no suffix that names a format"),
            ({"report_path": "{tmp}"}, "no suffix that names a format"),
            ({"report_path": "{tmp}/report.csv", "report_format": "jsonl"}, "contradicts"),
            ({"report_path": "{tmp}/report", "report_format": "xlsx"}, "is unknown"),
            ({"report_path": "nothing://bucket/report.jsonl"}, "nothing://"),
            ({"report_path": 7}, "must be a string"),
        ],
        ids=str,
    )
    @pytest.mark.usefixtures("server")
    def test_refused(self, operator: Any, wrong: dict[str, Any], said: str, tmp_path: Path) -> None:
        arguments = {n: v.format(tmp=tmp_path) if isinstance(v, str) else v for n, v in wrong.items()}
        check(refused(operator, **arguments), said)


class TestEveryOperator:
    @pytest.mark.parametrize("operator", RIGHT)
    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"password": ""}, "key"),
            ({"host": "ftp://api.helpcrunch.com"}, "The API URL must look like"),
            ({"extra": {"requests_per_minute": "many"}}, "requests_per_minute"),
        ],
        ids=str,
    )
    def test_a_wrong_connection(
        self,
        operator: Any,
        fields: dict[str, Any],
        said: str,
        server: Sandbox,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        connection = {**json.loads(server.connection()), **fields}
        monkeypatch.setenv("AIRFLOW_CONN_HELPCRUNCH_DEFAULT", json.dumps(connection))
        assert said in refused(operator)

    @pytest.mark.parametrize("operator", LISTS)
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"page_size": 0}, "page_size must be a whole number from 1 to 100, not 0"),
            ({"page_size": "None"}, "page_size must be"),
            ({"patience": 0}, "patience must be"),
            ({"max_xcom_bytes": "a lot"}, "max_xcom_bytes must be"),
            ({"file_format": "jsonl"}, "file_format needs output_path"),
            ({"output_path": "chats.xlsx"}, "no suffix that names a format"),
        ],
        ids=str,
    )
    @pytest.mark.usefixtures("server")
    def test_refused_by_the_list_operators(self, operator: Any, wrong: dict[str, Any], said: str) -> None:
        check(refused(operator, **wrong), said)


@pytest.mark.parametrize("agents", ["from_agents", "to_agents"])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("None", "{name} was rendered to 'None': the template or upstream task behind it gave no value"),
        (" None ", "the template or upstream task behind it gave no value"),
        ("", "the template or upstream task behind it gave no value"),
        ("  ", "the template or upstream task behind it gave no value"),
        ([], "{name} is empty"),
        ((), "{name} is empty"),
        ("[]", "{name} is empty"),
        ("null", "{name} must be a HelpCrunch id"),
        ("{}", "{name} must be a HelpCrunch id"),
        ("[1002", "which is not JSON: write {{ … | tojson }}"),
        (f"[{'9' * 5_000}]", "which is not JSON: write {{ … | tojson }}"),
        ("[" * 100_000, "which is not JSON: write {{ … | tojson }}"),
        ("['1002']", "which is not JSON: write {{ … | tojson }}"),
        ("[{'id': 1002}]", "which is not JSON: write {{ … | tojson }}"),
        ("Ada", "{name} must be a HelpCrunch id"),
        (["1002", "Ada"], "not 'Ada'"),
        ("1002, Ada", "not 'Ada'"),
        ("1002,", "not ''"),
        (",", "not ''"),
        ("1002;1003", "not '1002;1003'"),
        ("1002, None", "not 'None'"),
        (["None"], "not 'None'"),
        (0, "not 0"),
        (-5, "not -5"),
        ("-5", "not '-5'"),
        (2**63, f"not {2**63}"),
        ("9" * 30, "not '999"),
        ("9" * 5000, "{name} must be a HelpCrunch id"),
        (1002.0, "not 1002.0"),
        (True, "not True"),
        ([True], "not True"),
        ([[1002]], "not [1002]"),
        ({"name": "Ada"}, "not {'name': 'Ada'}"),
        ([{"name": "Ada"}], "not {'name': 'Ada'}"),
        ([{"id": None}], "not {'id': None}"),
        (b"1002", "not b'1002'"),
        ("١٠٠٢", "not '١٠٠٢'"),
        ("1002²", "not '1002²'"),
    ],
    ids=lambda value: repr(value)[:40],
)
@pytest.mark.usefixtures("server")
def test_wrong_agents(agents: str, wrong: Any, said: str) -> None:
    found = refused(ReassignChatsOperator, **{agents: wrong})
    assert said.replace("{name}", agents) in found
    assert "\n" not in found
    assert agents in found


REASSIGN: list[tuple[dict[str, Any], str]] = [
    ({"from_agents": {"path": "agents.jsonl", "format": "jsonl"}}, "from_agents must be a HelpCrunch id"),
    ({"to_agents": None}, "to_agents must be a HelpCrunch id"),
    ({"to_agents": [None]}, "to_agents must be a HelpCrunch id"),
    ({"to_agents": "unassigned"}, "to_agents must be a HelpCrunch id"),
    ({"to_agents": "agents.xlsx"}, "no suffix that names a format"),
    ({"to_agents": "1002.5"}, "no suffix that names a format"),
    ({"to_agents": 1001}, "Agent 1001 is in from_agents and in to_agents"),
    ({"to_agents": "1002, 1001"}, "Agent 1001 is in from_agents and in to_agents"),
    ({"to_agents": [{"id": 1001}]}, "Agent 1001 is in from_agents and in to_agents"),
    ({"statuses": []}, "statuses is empty"),
    ({"statuses": "[]"}, "statuses is empty"),
    ({"statuses": ""}, "gave no value"),
    ({"statuses": "None"}, "statuses was rendered to 'None'"),
    ({"statuses": "done"}, "'done' is not a status of a chat"),
    ({"statuses": ["opened", "done"]}, "'done' is not a status of a chat"),
    ({"statuses": "['opened']"}, "tojson"),
    ({"statuses": [2]}, "statuses must be a list of names"),
    ({"statuses": 2}, "statuses must be a list of names"),
    ({"statuses": ["opened", None]}, "statuses must be a list of names"),
    ({"department": "None"}, "department must be a HelpCrunch id"),
    ({"department": ""}, "department must be a HelpCrunch id"),
    ({"department": "Billing"}, "department must be a HelpCrunch id"),
    ({"department": 0}, "department must be a HelpCrunch id"),
    ({"department": True}, "department must be a HelpCrunch id"),
    ({"department": [12]}, "department must be a HelpCrunch id"),
    ({"department": "9" * 5000}, "department must be a HelpCrunch id"),
    ({"strategy": "fairest"}, "strategy must be round_robin, least_loaded or the import path of a function"),
    ({"strategy": ""}, "strategy must be"),
    ({"strategy": None}, "strategy must be"),
    ({"strategy": "None"}, "strategy must be"),
    ({"strategy": 7}, "strategy must be"),
    ({"strategy": ["round_robin"]}, "strategy must be"),
    ({"strategy": {"name": "round_robin"}}, "strategy must be"),
    ({"strategy": "no_such_module.function"}, "No module named 'no_such_module'"),
    ({"strategy": "json.no_such_function"}, "no_such_function"),
    ({"strategy": "os.path"}, "it is not a function"),
    ({"strategy": "json.decoder."}, "strategy must be"),
    ({"strategy": ".function"}, "strategy must be"),
    ({"strategy": "a b.c"}, "strategy must be"),
    ({"max_chats": 0}, "max_chats must be a whole number from 1 to 10000000, not 0"),
    ({"max_chats": -1}, "max_chats must be"),
    ({"max_chats": "None"}, "max_chats must be"),
    ({"max_chats": ""}, "max_chats must be"),
    ({"max_chats": "many"}, "max_chats must be"),
    ({"max_chats": 2.0}, "max_chats must be"),
    ({"max_chats": True}, "max_chats must be"),
    ({"max_chats": 10_000_001}, "max_chats must be"),
    ({"dry_run": "None"}, "dry_run must be true or false, not 'None'"),
    ({"dry_run": None}, "dry_run must be true or false, not None"),
    ({"dry_run": ""}, "dry_run must be"),
    ({"dry_run": "yes"}, "dry_run must be"),
    ({"dry_run": 1}, "dry_run must be"),
    ({"dry_run": 0}, "dry_run must be"),
    ({"dry_run": []}, "dry_run must be"),
]


@pytest.mark.parametrize(("wrong", "said"), REASSIGN, ids=lambda value: repr(value)[:50])
@pytest.mark.usefixtures("server")
def test_wrong_for_a_reassignment(wrong: dict[str, Any], said: str) -> None:
    assert said in refused(ReassignChatsOperator, **wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"chat_id": None}, "chat_id must be a HelpCrunch id"),
        ({"chat_id": "None"}, "chat_id must be a HelpCrunch id"),
        ({"chat_id": ""}, "chat_id must be a HelpCrunch id"),
        ({"chat_id": 0}, "chat_id must be a HelpCrunch id"),
        ({"chat_id": "4410001.0"}, "chat_id must be a HelpCrunch id"),
        ({"chat_id": [CHAT]}, "chat_id must be a HelpCrunch id"),
        ({"chat_id": True}, "chat_id must be a HelpCrunch id"),
        ({"assignee_id": "None"}, "assignee_id must be a HelpCrunch id"),
        ({"assignee_id": ""}, "assignee_id must be a HelpCrunch id"),
        ({"assignee_id": "Ada"}, "assignee_id must be a HelpCrunch id"),
        ({"assignee_id": 0}, "assignee_id must be a HelpCrunch id"),
        ({"assignee_id": [1002]}, "assignee_id must be a HelpCrunch id"),
        ({"assignee_id": False}, "assignee_id must be a HelpCrunch id"),
    ],
    ids=repr,
)
@pytest.mark.usefixtures("server")
def test_wrong_for_one_chat(wrong: dict[str, Any], said: str) -> None:
    check(refused(UpdateChatAssigneeOperator, **wrong), said)


SEARCH: list[tuple[dict[str, Any], str]] = [
    ({"filters": None}, "filters must be a list of objects"),
    ({"filters": "None"}, "filters was rendered to 'None', which is not JSON"),
    ({"filters": ""}, "filters was rendered to '', which is not JSON"),
    ({"filters": "null"}, "filters must be a list of objects"),
    ({"filters": "7"}, "filters must be a list of objects"),
    ({"filters": '"text"'}, "filters must be a list of objects"),
    ({"filters": {"field": "chats.id"}}, "filters must be a list of objects"),
    ({"filters": ["chats.department = 12"]}, "A filter is an object with field, operator and value"),
    ({"filters": [{"field": "chats.department", "value": 12}]}, "A filter is an object with field, operator"),
    (
        {"filters": [{"field": "chats.department", "operator": "=", "value": 1, "x": 1}]},
        "A filter is an object",
    ),
    ({"filters": [{"field": "department", "operator": "=", "value": 1}]}, "cannot be searched by"),
    ({"filters": [{"field": None, "operator": "=", "value": 1}]}, "cannot be searched by"),
    ({"filters": [{"field": ["chats.status"], "operator": "=", "value": 1}]}, "cannot be searched by"),
    ({"filters": [{"field": "chats.department", "operator": "~", "value": 1}]}, "cannot be compared by '~'"),
    ({"filters": [{"field": "chats.status", "operator": "<", "value": "new"}]}, "cannot be compared by '<'"),
    ({"filters": [{"field": "chats.status", "operator": None, "value": "new"}]}, "cannot be compared by"),
    ({"filters": [{"field": "chats.department", "operator": "=", "value": None}]}, "a whole number, not"),
    ({"filters": [{"field": "chats.department", "operator": "=", "value": "x"}]}, "a whole number, not"),
    ({"filters": [{"field": "chats.department", "operator": "=", "value": True}]}, "a whole number, not"),
    (
        {"filters": [{"field": "chats.department", "operator": "=", "value": "9" * 5000}]},
        "a whole number, not",
    ),
    ({"filters": [{"field": "chats.status", "operator": "=", "value": ""}]}, "a text, not"),
    ({"filters": [{"field": "chats.status", "operator": "=", "value": 3}]}, "a text, not"),
    ({"filters": [{"field": "chats.createdAt", "operator": ">", "value": "soon"}]}, "must be a time"),
    (
        {"filters": [{"field": "chats.customer.tagsData", "operator": "=", "value": []}]},
        "a list of tag names",
    ),
    (
        {"filters": [{"field": "chats.customer.tagsData", "operator": "=", "value": [1]}]},
        "a list of tag names",
    ),
    ({"comparison": "XOR"}, "comparison must be AND or OR, not 'XOR'"),
    ({"comparison": None}, "comparison must be AND or OR"),
    ({"comparison": ""}, "comparison must be AND or OR"),
    ({"comparison": "OR", "created_since": "2026-01-01"}, "With comparison OR"),
    ({"comparison": "or", "assignee": 1001}, "With comparison OR"),
    ({"comparison": "OR", "department": 12}, "With comparison OR"),
    ({"statuses": []}, "statuses is empty"),
    ({"statuses": "done"}, "'done' is not a status of a chat"),
    ({"statuses": "None"}, "statuses was rendered to 'None'"),
    ({"assignee": "None"}, "assignee must be a HelpCrunch id"),
    ({"assignee": ""}, "assignee must be a HelpCrunch id"),
    ({"assignee": 0}, "assignee must be a HelpCrunch id"),
    ({"assignee": [1001]}, "assignee must be a HelpCrunch id"),
    ({"department": "None"}, "department must be a HelpCrunch id"),
    ({"department": "unassigned"}, "department must be a HelpCrunch id"),
    ({"created_since": "2026-01-02", "created_before": "2026-01-01"}, "must be earlier than created_before"),
    ({"created_since": "2026-01-01", "created_before": "2026-01-01"}, "must be earlier than created_before"),
    ({"closed_since": "2026-01-02", "closed_before": "2026-01-01"}, "must be earlier than closed_before"),
    (
        {"created_since": datetime(2026, 1, 1, 1, tzinfo=UTC), "created_before": "2026-01-01T02:00:00+02:00"},
        "created_since (2026-01-01T01:00:00+00:00) must be earlier than created_before (2026-01-01T00:00:00",
    ),
]


@pytest.mark.parametrize(("wrong", "said"), SEARCH, ids=lambda value: repr(value)[:70])
@pytest.mark.usefixtures("server")
def test_wrong_for_a_search(wrong: dict[str, Any], said: str) -> None:
    assert said in refused(SearchChatsOperator, **wrong)


@pytest.mark.parametrize(
    ("operator", "name"),
    [
        (SearchChatsOperator, "created_since"),
        (SearchChatsOperator, "created_before"),
        (SearchChatsOperator, "closed_since"),
        (SearchChatsOperator, "closed_before"),
        (ListChatsOperator, "active_since"),
    ],
)
@pytest.mark.parametrize(
    "wrong",
    [
        *("None", "", "  ", "soon", "yesterday", "2026-13-01", "2026-02-30", "31.01.2026", "nan", "1e9"),
        *(True, False, float("nan"), float("inf"), [], {}, b"2026-01-01", object),
        # A time of the year 0 in UTC, and one of the year 10000.
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
    ],
    ids=repr,
)
@pytest.mark.usefixtures("server")
def test_wrong_times(operator: Any, name: str, wrong: Any) -> None:
    assert f"{name} must be a time: a datetime, ISO 8601 text" in refused(operator, **{name: wrong})


class Lazy(Sequence[Any]):
    """Stands for the lazy sequence in which Airflow hands on the results of a mapped task."""

    def __init__(self, *values: Any) -> None:
        self._values = values

    def __repr__(self) -> str:
        return f"Lazy{self._values}"

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, place: Any) -> Any:
        return self._values[place]


ADA, BEN = {"id": 1001, "name": "Ada", "email": "a@x.example", "role": "admin"}, {"id": 1002, "name": "Ben"}
SPELLINGS = [
    [1001, 1002],
    (1001, 1002),
    ["1001", "1002"],
    "1001, 1002",
    "1001,1002",
    " 1002 , 1001 ",
    "[1001, 1002]",
    ' ["1001", "1002"]\n',
    [ADA, BEN],
    json.dumps([ADA, BEN]),
    [ADA, "1002"],
    [NumPyInteger(1001), {"id": NumPyInteger(1002)}],
    Lazy(1001, 1002),
    Lazy("1001", "1002"),
    Lazy(ADA, BEN),
    {1001, 1002},
    iter([1001, 1002]),
    [1001, 1002, 1001],
]


def spelling(given: object) -> str:
    """Name a case the same in every process: an iterator's own representation holds its address."""
    return "iterator" if isinstance(given, Iterator) else repr(given)


def account(sandbox: StartSandbox, connection: SetConnection) -> Sandbox:
    """Serve an account where 1001 and 1002 have three open chats each, 1003 and 1004 none, and two are nobody's."""
    server = sandbox(agents=4, chats=0)
    for agent in (1001, 1002, 1001, 1002, 1001, 1002, None, None):
        server.insert_chats(1, assignee=agent)
    connection(server, requests_per_minute=1000)
    return server


def spread(server: Sandbox) -> dict[int | None, int]:
    return {agent: len(server.chats_of(agent)) for agent in (1001, 1002, 1003, 1004, None)}


def moved(**arguments: Any) -> Any:
    return ReassignChatsOperator(
        task_id="move", **{"from_agents": [1001, 1002], "to_agents": [1003, 1004], **arguments}
    ).execute({})


class TestRightAgents:
    @pytest.mark.parametrize("given", SPELLINGS, ids=spelling)
    def test_two_sources(self, given: Any, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = account(sandbox, connection)
        assert moved(from_agents=given)["changed"] == 6
        assert spread(server) == {1001: 0, 1002: 0, 1003: 3, 1004: 3, None: 2}

    @pytest.mark.parametrize("given", [1001, "1001", " 1001\n", [1001], "[1001]", ADA, json.dumps(ADA)])
    def test_one_source(self, given: Any, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = account(sandbox, connection)
        moved(from_agents=given)
        assert spread(server) == {1001: 0, 1002: 3, 1003: 2, 1004: 1, None: 2}

    @pytest.mark.parametrize("given", [None, "unassigned", ["unassigned"], [None], "[null]"])
    def test_nobodys(self, given: Any, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = account(sandbox, connection)
        moved(from_agents=given)
        assert spread(server) == {1001: 3, 1002: 3, 1003: 1, 1004: 1, None: 0}

    def test_nobodys_and_somebodys(self, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = account(sandbox, connection)
        moved(from_agents="1001, unassigned")
        assert spread(server) == {1001: 0, 1002: 3, 1003: 3, 1004: 2, None: 0}

    @pytest.mark.parametrize("given", SPELLINGS[:-3], ids=spelling)
    def test_two_targets(self, given: Any, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = account(sandbox, connection)
        moved(from_agents=None, to_agents=given)
        assert spread(server) == {1001: 4, 1002: 4, 1003: 0, 1004: 0, None: 0}

    @pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet", "csv.gz"])
    @pytest.mark.parametrize("how", ["path", "receipt", "text of the receipt"])
    def test_targets_from_the_file_of_a_listing(
        self, how: str, suffix: str, sandbox: StartSandbox, connection: SetConnection, tmp_path: Path
    ) -> None:
        from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator

        server = account(sandbox, connection)
        path = str(tmp_path / f"agents.{suffix}")
        receipt = ListAgentsOperator(task_id="agents", output_path=path).execute({})
        given = {"path": path, "receipt": receipt, "text of the receipt": json.dumps(receipt)}[how]
        moved(from_agents=None, to_agents=given)
        assert sum(spread(server).values()) == 8
        assert server.chats_of(None) == []

    def test_the_order_in_which_targets_are_named_is_kept(
        self, sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server = account(sandbox, connection)
        moved(from_agents=1001, to_agents="1004, 1003")
        assert [request.body["assignee"] for request in server.writes()] == [1004, 1003, 1004]


class TestRightWords:
    @pytest.mark.parametrize("given", [True, "True", "true", " TRUE\n"])
    def test_a_dry_run(self, given: Any, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = account(sandbox, connection)
        result = moved(dry_run=given)
        assert (result["planned"], result["changed"]) == (6, 0)
        assert server.writes() == []

    @pytest.mark.parametrize("given", [False, "False", "false", " false "])
    def test_no_dry_run(self, given: Any, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = account(sandbox, connection)
        assert moved(dry_run=given)["changed"] == 6
        assert len(server.writes()) == 6

    @pytest.mark.skipif(not hasattr(BaseOperator, "dry_run"), reason="Airflow 3.0 has no such method")
    def test_airflows_own_method_is_left_alone(self) -> None:
        operator: Any = ReassignChatsOperator(task_id="move", from_agents=1, to_agents=2, dry_run="True")
        assert callable(operator.dry_run)
        assert operator.is_dry_run == "True"

    @pytest.mark.parametrize("given", [2, "2", " 2 ", NumPyInteger(2)], ids=repr)
    def test_most_chats(self, given: Any, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = account(sandbox, connection)
        assert moved(max_chats=given)["changed"] == 2
        assert len(server.writes()) == 2

    @pytest.mark.parametrize(
        "given",
        [
            *("pending", " pending ", "Pending", ["pending"], '["pending"]', Lazy("pending")),
            *(["pending", "on hold"], ["on-hold", "PENDING"], '["onhold", "pending"]'),
        ],
        ids=repr,
    )
    def test_statuses(self, given: Any, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = account(sandbox, connection)
        wanted = server.insert_chats(2, assignee=1001, status="pending")
        moved(statuses=given)
        assert sorted(request.chat for request in server.writes()) == [chat["id"] for chat in wanted]

    @pytest.mark.parametrize("spelt", ["id", "text", "record"])
    def test_a_department(self, spelt: str, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = account(sandbox, connection)
        department = server.departments[1]
        (wanted,) = server.insert_chats(1, assignee=1001, department=department["id"])
        given = {"id": department["id"], "text": str(department["id"]), "record": department}[spelt]
        moved(department=given)
        assert [request.chat for request in server.writes()] == [wanted["id"]]

    @pytest.mark.parametrize(
        "given",
        ["round_robin", "least_loaded", "airflow_provider_helpcrunch.assignment.least_loaded"],
    )
    def test_strategies(self, given: str, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = account(sandbox, connection)
        moved(strategy=given)
        assert spread(server) == {1001: 0, 1002: 0, 1003: 3, 1004: 3, None: 2}

    @pytest.mark.parametrize("given", [CHAT, str(CHAT), {"id": CHAT}], ids=repr)
    @pytest.mark.parametrize(
        ("to", "then"),
        [
            (1004, 1004),
            ("1004", 1004),
            ({"id": 1004, "name": "Dan"}, 1004),
            (None, None),
            ("nobody", None),
        ],
        ids=repr,
    )
    def test_one_chat(
        self, given: Any, to: Any, then: int | None, sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server = account(sandbox, connection)
        result = UpdateChatAssigneeOperator(task_id="give", chat_id=given, assignee_id=to).execute({})
        assert (result["changed"], result["requests"]) == (1, 1)
        (request,) = server.journal
        assert (request.path, request.body) == ("/v1/chats/assignee", {"id": CHAT, "assignee": then})

    def test_a_plan_from_a_data_frame(self, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = account(sandbox, connection)
        before = {"assignee": NumPyInteger(1001)}
        entry = {"id": NumPyInteger(CHAT), "assignee": NumPyInteger(1004), "before": before}
        assert UpdateChatsOperator(task_id="apply", plan=[entry]).execute({})["changed"] == 1
        assert [request.body for request in server.writes()] == [{"id": CHAT, "assignee": 1004}]


class TestRendered:
    """Arguments as Jinja renders them."""

    @staticmethod
    def rendered(operator: Any, params: dict[str, Any], **arguments: Any) -> Any:
        with DAG("dag", schedule=None):
            task = operator(task_id="task", **arguments)
        task.render_template_fields({"params": params})
        return task

    @pytest.mark.parametrize("missing", ["{{ params.nothing }}", "{{ params.get('nothing') }}"])
    @pytest.mark.parametrize("name", ["from_agents", "to_agents"])
    @pytest.mark.usefixtures("server")
    def test_a_param_that_is_not_set_never_means_nobody(self, name: str, missing: str) -> None:
        given = {**RIGHT[ReassignChatsOperator], name: missing}
        task = self.rendered(ReassignChatsOperator, {"nothing": None}, **given)
        with pytest.raises(HelpCrunchConfigurationError, match=f"{name} was rendered to 'None'"):
            task.execute({})

    def test_everything_from_params(self, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = account(sandbox, connection)
        params = {"who": [1001, 1002], "most": 5, "dry": False, "to": 1004}
        task = self.rendered(
            ReassignChatsOperator,
            params,
            from_agents="{{ params.who | tojson }}",
            to_agents="{{ params.to }}",
            max_chats="{{ params.most }}",
            dry_run="{{ params.dry }}",
            statuses="{{ ['opened', 'new'] | tojson }}",
        )
        assert task.execute({})["changed"] == 5
        assert len(server.chats_of(1004)) == 5

    def test_inside_of_lists_and_plans(self, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = account(sandbox, connection)
        task = self.rendered(
            UpdateChatsOperator,
            {"chat": CHAT, "to": 1003},
            plan=[{"id": "{{ params.chat }}", "assignee": "{{ params.to }}", "status": "pending"}],
            check="{{ true }}",
        )
        assert task.execute({})["changed"] == 2
        chat = server.chat(CHAT)
        assert (chat["assignee"]["id"], chat["status"]) == (1003, "pending")
