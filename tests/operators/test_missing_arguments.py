"""A template that renders to nothing is refused by the name of its argument, for every argument of every operator."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow_names import DAG
from every_operator import REQUIRED, every_operator

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.sandbox import Sandbox

FIELDS = [(operator, field) for operator in every_operator() for field in operator.template_fields]
NOTHING = [None, "", "  ", "None", "null", [], {}, (), [None], "[]", "[null]", "{}"]


@functools.cache
def environment(native: bool) -> Any:
    """Return an environment that compiles each template once: Airflow's own compiles all of them at each rendering."""
    with DAG("dag", schedule=None, render_template_as_native_obj=native) as dag:
        found = dag.get_template_env()
    found.from_string = functools.cache(found.from_string)
    return found


def made(operator: Any, native: bool, **arguments: Any) -> Any:
    with DAG("dag", schedule=None, render_template_as_native_obj=native):
        return operator(task_id="task", **{**REQUIRED.get(operator.__name__, {}), **arguments})


def rendered(operator: Any, native: bool, params: dict[str, Any], **arguments: Any) -> Any:
    task = made(operator, native, **arguments)
    task.render_template_fields({"params": params})
    return task


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def account() -> Iterator[Sandbox]:
    """One account for all tests, as none of them sends a request."""
    with Sandbox(rate_limit=None) as account:
        yield account


@pytest.fixture
def server(account: Sandbox, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Sandbox:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("AIRFLOW_CONN_HELPCRUNCH_DEFAULT", account.connection())
    return account


def test_all_arguments_are_templated() -> None:
    """The rule holds for template fields, so every argument of ours has to be one; Airflow decides ``deferrable``."""
    for operator in every_operator():
        own = {
            name
            for base in operator.__mro__
            if base.__module__.startswith("airflow_provider_helpcrunch.")
            for name, parameter in inspect.signature(
                vars(base).get("__init__", lambda: None)
            ).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY
        }
        assert own - {field.removeprefix("is_") for field in operator.template_fields} == {"deferrable"} & own


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize(("operator", "field"), FIELDS, ids=lambda value: getattr(value, "__name__", value))
def test_nothing_is_refused_by_name(operator: Any, field: str, native: bool, server: Sandbox) -> None:
    name = field.removeprefix("is_")
    written = made(operator, native, **{name: "{{ params.nothing }}"})
    for nothing in NOTHING:
        if field in operator.arguments_that_may_be_empty and nothing in ([], (), {}, "[]", "{}"):
            continue
        task = copy.copy(written)
        task.render_template_fields({"params": {"nothing": nothing}}, environment(native))
        with pytest.raises(HelpCrunchConfigurationError, match=rf"\b{name}\b"):
            task.execute({})
    assert server.journal == []


@pytest.mark.parametrize(("operator", "field"), FIELDS, ids=lambda value: getattr(value, "__name__", value))
def test_a_name_that_is_not_known_is_refused_natively(operator: Any, field: str, server: Sandbox) -> None:
    name = field.removeprefix("is_")
    task = rendered(operator, True, {}, **{name: "{{ params.get('nothing') }}"})
    with pytest.raises(HelpCrunchConfigurationError, match=rf"\b{name}\b"):
        task.execute({})
    assert server.journal == []


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        ("ReassignChatsOperator", {"from_agents": ["{{ params.none }}", 1001]}),
        ("ReassignChatsOperator", {"from_agents": "{{ params.list }}"}),
        ("ReassignChatsOperator", {"from_agents": "{{ params.list | tojson }}"}),
        ("ReassignChatsOperator", {"to_agents": [1002, "{{ params.none }}"]}),
        ("UpdateChatsOperator", {"plan": [{"id": 4410021, "assignee": "{{ params.none }}"}]}),
        (
            "SearchChatsOperator",
            {"filters": [{"field": "chats.rating", "operator": "=", "value": "{{ params.none }}"}]},
        ),
        ("ListAgentsOperator", {"roles": ["admin", "{{ params.none }}"]}),
    ],
)
def test_inside_of_lists(operator: str, arguments: dict[str, Any], server: Sandbox) -> None:
    by_name = {each.__name__: each for each in every_operator()}
    for native in (False, True):
        task = rendered(by_name[operator], native, {"none": None, "list": [1001, None]}, **arguments)
        with pytest.raises(HelpCrunchConfigurationError):
            task.execute({})
    assert server.journal == []


@pytest.mark.parametrize("operator", every_operator(), ids=lambda value: value.__name__)
def test_none_in_the_dag_file_is_the_default(operator: Any, server: Sandbox) -> None:
    """Whatever may be left out may be written as None too."""
    for field in operator.template_fields:
        name = field.removeprefix("is_")
        bases = [vars(base).get("__init__") for base in operator.__mro__]
        defaults = [
            parameter.default
            for init in bases
            if init is not None
            for parameter in [inspect.signature(init).parameters.get(name)]
            if parameter is not None
        ]
        if defaults[0] is None:
            rendered(operator, False, {}, **{name: None}).check_arguments()
    assert server.journal == []


def test_records_from_upstream_may_have_empty_fields(server: Sandbox) -> None:
    by_name = {each.__name__: each for each in every_operator()}
    params = {
        "agents": [{"id": 1002, "email": None, "role": ""}],
        "plan": [{"id": 4410021, "assignee": None}],
    }
    rendered(
        by_name["ReassignChatsOperator"], True, params, to_agents="{{ params.agents }}"
    ).check_arguments()
    rendered(by_name["UpdateChatsOperator"], True, params, plan="{{ params.plan }}").check_arguments()
    rendered(by_name["UpdateChatsOperator"], True, {"plan": []}, plan="{{ params.plan }}").check_arguments()
