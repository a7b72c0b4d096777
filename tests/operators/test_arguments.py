"""Arguments of the operators: templated, perhaps text by then, and checked before the first request."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow_names import DAG

from airflow_provider_helpcrunch._airflow import BaseOperator, ObjectStoragePath
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchXComSizeError
from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.operators.applications import ListApplicationsOperator
from airflow_provider_helpcrunch.operators.base import HelpCrunchOperator
from airflow_provider_helpcrunch.operators.chats import (
    ListChatsOperator,
    ReassignChatsOperator,
    SearchChatsOperator,
    UpdateChatAssigneeOperator,
    UpdateChatsOperator,
)
from airflow_provider_helpcrunch.operators.customers import ListCustomersOperator, SearchCustomersOperator
from airflow_provider_helpcrunch.operators.departments import ListDepartmentsOperator
from airflow_provider_helpcrunch.operators.messages import ListMessagesOperator, SendMessageOperator
from airflow_provider_helpcrunch.operators.privacy import Salt
from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = pytest.mark.older

ALL = {"helpcrunch_conn_id", "patience"}
LISTS = ALL | {"output_path", "file_format", "page_size", "max_xcom_bytes", "columns", "hash", "hash_salt"}
BULK = ALL | {"report_path", "report_format", "on_error", "max_xcom_bytes"}
BULK |= {"max_per_agent", "within_department", "note", "note_agent"}
TIMES = {"created_since", "created_before", "closed_since", "closed_before"}
ARGUMENTS: dict[type[HelpCrunchOperator], set[str]] = {
    ListAgentsOperator: LISTS | {"roles"},
    ListDepartmentsOperator: LISTS,
    ListApplicationsOperator: LISTS,
    ListCustomersOperator: LISTS,
    SearchCustomersOperator: LISTS
    | {
        "filters",
        "comparison",
        "seen_since",
        "seen_before",
        "email",
        "user_id",
        "company",
        "tags",
        "match_tags",
    },
    ListMessagesOperator: LISTS | {"chats", "oldest_first", "private_notes", "tech"},
    ListChatsOperator: LISTS | {"active_since"},
    SearchChatsOperator: LISTS | TIMES | {"filters", "comparison", "statuses", "assignee", "department"},
    ReassignChatsOperator: BULK
    | {"from_agents", "to_agents", "statuses", "department", "strategy", "max_chats", "dry_run"}
    | {"allow_unknown_agents"},
    UpdateChatsOperator: BULK | {"plan", "check"},
    UpdateChatAssigneeOperator: ALL | {"chat_id", "assignee_id"},
    SendMessageOperator: ALL | {"chat_id", "text", "type", "agent_id", "markdown_text", "delivery"},
}
"""The templated arguments of each operator."""

ATTRIBUTES = {"dry_run": "is_dry_run"}
"""Where an argument is kept under another name, because Airflow has a method of that name."""

SetConnection = Callable[..., None]
StartSandbox = Callable[..., Sandbox]


def arguments_of(operator: type[BaseOperator]) -> set[str]:
    """Return the names of the arguments that are ours."""
    return {
        name
        for cls in operator.__mro__
        if issubclass(cls, HelpCrunchOperator)
        for name, parameter in inspect.signature(cls.__init__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and not name.startswith("_")
    }


def attribute(argument: str) -> str:
    return ATTRIBUTES.get(argument, argument)


@pytest.mark.parametrize("operator", ARGUMENTS)
class TestTemplates:
    def test_every_argument_is_templated(self, operator: type[HelpCrunchOperator]) -> None:
        expected = ARGUMENTS[operator]
        assert arguments_of(operator) - {"deferrable"} == expected
        assert set(operator.template_fields) == {attribute(name) for name in expected}
        assert len(operator.template_fields) == len(expected)

    def test_every_argument_is_rendered(self, operator: type[HelpCrunchOperator]) -> None:
        names = ARGUMENTS[operator]
        with DAG("dag", schedule=None):
            task: Any = operator(task_id="task", **{name: f"{{{{ given['{name}'] }}}}" for name in names})
        task.render_template_fields({"given": {name: f"rendered {name}" for name in names}})
        for name in names:
            value = getattr(task, attribute(name))
            assert (value.text if isinstance(value, Salt) else value) == f"rendered {name}"

    @pytest.mark.parametrize("native", [True, False])
    def test_a_text_without_a_template_stays_as_it_is(
        self, operator: type[HelpCrunchOperator], *, native: bool
    ) -> None:
        names = ARGUMENTS[operator] - {"hash_salt"}  # any text becomes a Salt
        for text in ("+380441234567", "1_000", "0x1F", "1e3", "'quoted'", "{'id': 7}", "a\r\nb {}"):
            with DAG("dag", schedule=None, render_template_as_native_obj=native):
                task = operator(task_id="task", **{name: [text, {"inside": text}] for name in names})
            task.render_template_fields({})  # type: ignore[typeddict-item]
            kept = text.replace("\r\n", "\n")  # as Jinja does
            for name in names:
                assert getattr(task, attribute(name)) == [kept, {"inside": kept}]

    def test_no_argument_is_touched_before_it_is_rendered(self, operator: type[HelpCrunchOperator]) -> None:
        wrong: dict[str, Any] = {name: object() for name in ARGUMENTS[operator]}
        task = operator(task_id="task", **wrong)
        assert {name: getattr(task, attribute(name)) for name in wrong} == wrong

    def test_keywords_only(self, operator: type[HelpCrunchOperator]) -> None:
        with pytest.raises(Exception, match="keyword"):
            operator("task")


def test_a_text_from_upstream_is_not_rendered() -> None:
    text = "a\r\n{{ b }}\r\n"
    for given in (text, text.replace("{{ b }}", "b")):
        assert ListAgentsOperator(task_id="agents").render_template(given, {}, None, {id(given)}) is given  # type: ignore[typeddict-item]


def listing(**arguments: Any) -> Any:
    return ListAgentsOperator(task_id="agents", **arguments).execute({})


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"patience": 0}, "patience must be a whole number from 1 to 604800, not 0"),
    ({"patience": "soon"}, "not 'soon'"),
    ({"page_size": 0}, "page_size must be a whole number from 1 to 100, not 0"),
    ({"page_size": 101}, "not 101"),
    ({"page_size": -1}, "not -1"),
    ({"page_size": "0"}, "not '0'"),
    ({"page_size": "101"}, "not '101'"),
    ({"page_size": "abc"}, "not 'abc'"),
    ({"page_size": ""}, "not ''"),
    ({"page_size": "None"}, "not 'None'"),
    ({"page_size": None}, "not None"),
    ({"page_size": True}, "not True"),
    ({"page_size": 50.5}, "not 50.5"),
    ({"page_size": [50]}, "page_size"),
    ({"max_xcom_bytes": 0}, "max_xcom_bytes must be a whole number from 1"),
    ({"max_xcom_bytes": "1 MB"}, "not '1 MB'"),
    ({"max_xcom_bytes": None}, "max_xcom_bytes"),
    ({"roles": []}, "leave it out to select everything"),
    ({"roles": ()}, "leave it out to select everything"),
    ({"roles": "[]"}, "leave it out to select everything"),
    ({"roles": ""}, "gave no value"),
    ({"roles": "  "}, "gave no value"),
    ({"roles": "['admin']"}, "tojson"),
    ({"roles": "None"}, "gave no value"),
    ({"roles": ["None"]}, "roles must be a list of names"),
    ({"roles": "admin, None"}, "roles must be a list of names"),
    ({"roles": "('admin', 'agent')"}, "tojson"),
    ({"roles": "('admin',)"}, "tojson"),
    ({"roles": "{'admin', 'agent'}"}, "tojson"),
    ({"roles": "frozenset({'admin'})"}, "tojson"),
    ({"roles": "dict_keys(['admin'])"}, "tojson"),
    ({"roles": "<generator object <genexpr> at 0x7f>"}, "tojson"),
    ({"roles": "[1, 2]"}, "roles must be a list of names"),
    ({"roles": ["admin", ""]}, "roles must be a list of names"),
    ({"roles": ["admin", None]}, "roles must be a list of names"),
    ({"roles": {"admin": True}}, "roles must be a list of names"),
    ({"roles": 7}, "roles must be a list of names"),
    ({"file_format": "jsonl"}, "file_format needs output_path"),
    ({"output_path": ""}, "path is empty"),
    ({"output_path": "  "}, "path is empty"),
    ({"output_path": "None"}, "a template rendered a value that is not set"),
    ({"output_path": "{tmp}/folder.jsonl"}, "is a directory"),
    ({"output_path": "{tmp}"}, "no suffix that names a format"),
    ({"output_path": "{tmp}/folder/"}, "names a directory"),
    ({"output_path": "{tmp}/agents"}, "no suffix that names a format"),
    ({"output_path": "{tmp}/agents.xlsx"}, "no suffix that names a format"),
    ({"output_path": "{tmp}/agents.gz"}, "no suffix that names a format"),
    ({"output_path": "{tmp}/agents.parquet.gz"}, "compressed inside"),
    ({"output_path": "{tmp}/agents.csv", "file_format": "jsonl"}, "contradicts"),
    ({"output_path": "{tmp}/agents.jsonl.gz", "file_format": "jsonl"}, "contradicts"),
    ({"output_path": "{tmp}/agents.gz", "file_format": "jsonl"}, "contradicts"),
    ({"output_path": "{tmp}/agents", "file_format": "xlsx"}, "is unknown"),
    ({"output_path": "{tmp}/agents.jsonl", "file_format": ""}, "file_format"),
    ({"output_path": "{tmp}/file/agents.jsonl"}, "is not a directory"),
    ({"output_path": "s3://bucket"}, "s3"),
    ({"output_path": "nothing://bucket/agents.jsonl"}, "nothing://"),
    ({"output_path": 7}, "must be a string"),
]


@pytest.mark.parametrize(
    ("wrong", "said"), REFUSED, ids=lambda value: str(value) if isinstance(value, dict) else ""
)
def test_refused_before_the_first_request(
    wrong: dict[str, Any], said: str, sandbox: StartSandbox, connection: SetConnection, tmp_path: Path
) -> None:
    server = sandbox()
    connection(server)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.jsonl").mkdir()
    before = sorted(tmp_path.rglob("*"))
    arguments = {
        n: v.format(tmp=tmp_path) if n == "output_path" and isinstance(v, str) else v
        for n, v in wrong.items()
    }
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        listing(**arguments)
    assert said in str(caught.value)
    assert server.journal == []
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("size", "requests"),  # where the last page is full, one more looks behind it
    [(1, 25), (2, 25), ("2", 25), (7, 5), (24, 2), (25, 2), ("50", 1), (" 100 ", 1), (100, 1)],
)
def test_page_size(size: int | str, requests: int, sandbox: StartSandbox, connection: SetConnection) -> None:
    server = sandbox(agents=25)
    connection(server, requests_per_minute=1000)
    assert listing(page_size=size) == server.agents
    assert len(server.journal) == requests
    assert {int(r.query["limit"]) for r in server.journal} == {max(int(size), 2)}


class TestXComSize:
    def test_the_error_names_the_way_out_and_comes_early(
        self, sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server = sandbox(agents=5000)
        connection(server)
        with pytest.raises(HelpCrunchXComSizeError, match="output_path") as caught:
            listing(max_xcom_bytes="4000")
        assert "4000" in str(caught.value)
        assert 1 <= len(server.journal) <= 20  # all of them would take 51

    def test_the_limit_is_what_json_takes(self, sandbox: StartSandbox, connection: SetConnection) -> None:
        server = sandbox(agents=30)
        connection(server)
        size = len(json.dumps(server.agents))
        assert listing(max_xcom_bytes=size + 2) == server.agents
        with pytest.raises(HelpCrunchXComSizeError):
            listing(max_xcom_bytes=size - 1)

    def test_what_is_filtered_out_does_not_count(
        self, sandbox: StartSandbox, connection: SetConnection
    ) -> None:
        server = sandbox(agents=200)
        connection(server)
        admins = [agent for agent in server.agents if agent["role"] == "admin"]
        assert listing(roles="admin", max_xcom_bytes=len(json.dumps(admins)) + 2) == admins

    def test_a_file_has_no_such_limit(
        self, sandbox: StartSandbox, connection: SetConnection, tmp_path: Path
    ) -> None:
        server = sandbox(agents=30)
        connection(server)
        assert listing(max_xcom_bytes=1, output_path=str(tmp_path / "agents.jsonl"))["records"] == 30


def test_a_path_may_be_an_object_storage_path(
    sandbox: StartSandbox, connection: SetConnection, tmp_path: Path
) -> None:
    server = sandbox(agents=3)
    connection(server)
    receipt = listing(output_path=ObjectStoragePath(f"file://{tmp_path}/agents.jsonl"))
    assert receipt["records"] == 3
    assert len((tmp_path / "agents.jsonl").read_text().splitlines()) == 3


def test_a_missing_format_comes_from_the_argument(
    sandbox: StartSandbox, connection: SetConnection, tmp_path: Path
) -> None:
    connection(sandbox(agents=3))
    receipt = listing(output_path=str(tmp_path / "agents"), file_format="csv")
    assert receipt["format"] == "csv"
    assert (tmp_path / "agents").read_text().startswith("id,")
