"""A result that XCom cannot hold is refused before Airflow is asked, and can still be written to a file."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch._airflow import AirflowFailException
from airflow_provider_helpcrunch.exceptions import HelpCrunchXComSizeError, HelpCrunchXComTextError
from airflow_provider_helpcrunch.operators.agents import ListAgentsOperator
from airflow_provider_helpcrunch.operators.chats import (
    ListChatsOperator,
    SearchChatsOperator,
    UpdateChatsOperator,
)
from airflow_provider_helpcrunch.operators.customers import ListCustomersOperator, SearchCustomersOperator
from airflow_provider_helpcrunch.operators.departments import ListDepartmentsOperator
from airflow_provider_helpcrunch.operators.xcom import fit_for_xcom, unfit_for_xcom
from airflow_provider_helpcrunch.sandbox import Sandbox, endpoints
from airflow_provider_helpcrunch.sandbox.responses import encode

OPERATORS = {
    "/v1/agents": ListAgentsOperator,
    "/v1/departments": ListDepartmentsOperator,
    "/v1/chats": ListChatsOperator,
    "/v1/chats/search": SearchChatsOperator,
    "/v1/customers": ListCustomersOperator,
    "/v1/customers/search": SearchCustomersOperator,
}
CREATIONS = (("POST", "/v1/chats"), ("POST", "/v1/customers"))


@pytest.fixture
def account(
    sandbox: Callable[..., Sandbox], connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Sandbox:
    """An account that writes U+0000 into its second agent, department, chat and customer."""
    server = sandbox(agents=5, departments=5, chats=5)
    connection(server, requests_per_minute=3000, rate_limit_store="memory://")

    def spoiling(honest: Any) -> Any:
        def answer(*arguments: Any) -> Any:
            found = honest(*arguments)
            payload = json.loads(found.body)
            payload["data"][1]["name"] = {"said": ["fine", "half\0"]}
            return replace(found, body=encode(payload))

        return answer

    for method, path in list(endpoints.ROUTES):
        if path in OPERATORS and (method, path) not in CREATIONS:
            monkeypatch.setitem(endpoints.ROUTES, (method, path), spoiling(endpoints.ROUTES[method, path]))
    return server


@pytest.mark.parametrize("path", OPERATORS)
def test_a_nul_is_refused_by_the_record_that_holds_it(account: Sandbox, path: str) -> None:
    with pytest.raises(
        HelpCrunchXComTextError, match=r"Record \d+ holds .*name\.said\.1.*Set output_path"
    ) as caught:
        OPERATORS[path](task_id="list").execute({})
    assert isinstance(caught.value, AirflowFailException)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert "\0" not in str(caught.value)


@pytest.mark.parametrize("path", OPERATORS)
def test_a_file_takes_it(account: Sandbox, path: str, tmp_path: Path) -> None:
    receipt = OPERATORS[path](task_id="list", output_path=str(tmp_path / "all.jsonl")).execute({})
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text("utf-8").splitlines()]
    assert receipt["records"] == len(rows) >= 5
    assert [row["name"] for row in rows if isinstance(row.get("name"), dict)] == [
        {"said": ["fine", "half\0"]}
    ]


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"id": 7, "name": "\0"}, "name"),
        ({"id": 7, "name": "a\0b"}, "name"),
        ({"id": 7, "customer": {"name": "a\0"}}, "customer.name"),
        ({"id": 7, "tags": [{"name": "x"}, {"name": "\0x"}]}, "tags.1.name"),
        ({"id": 7, "a\0b": 1}, "the name of a field"),
        ({"id": 7, "customer": {"\0": 1}}, "the name of a field of customer"),
    ],
)
def test_wherever_it_stands(record: dict[str, Any], field: str) -> None:
    before = copy.deepcopy(record)
    with pytest.raises(HelpCrunchXComTextError, match=f"Record 7 holds the character U\\+0000 in {field}:"):
        list(fit_for_xcom([{"id": 1}, record], 10_000))
    assert record == before


@pytest.mark.parametrize("text", ["\\u0000", "\\\\u0000", "u0000", "\x01", "\ufffd", "0"])
def test_what_only_looks_like_it_passes(text: str) -> None:
    record = {"id": 7, "name": text}
    assert list(fit_for_xcom([record], 10_000)) == [record]
    assert unfit_for_xcom([record], 10_000) is None


def test_the_size_is_counted_as_ever() -> None:
    with pytest.raises(HelpCrunchXComSizeError, match=r"max_xcom_bytes \(40\) at record 4"):
        list(fit_for_xcom([{"id": number} for number in range(5)], 40))


def test_a_list_of_changes_stays_out_of_the_result_and_the_work_is_done(
    sandbox: Callable[..., Sandbox],
    connection: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    task_log: Callable[[Any], list[str]],
) -> None:
    """The status that a chat had before is HelpCrunch's own text."""
    server = sandbox(agents=5, chats=0)
    (chat,) = server.insert_chats(1)
    connection(server, requests_per_minute=3000, rate_limit_store="memory://")
    honest = endpoints.ROUTES["GET", "/v1/chats/{id}"]

    def answer(*arguments: Any) -> Any:
        found = honest(*arguments)
        return replace(found, body=encode({**json.loads(found.body), "status": "odd\0"}))

    monkeypatch.setitem(endpoints.ROUTES, ("GET", "/v1/chats/{id}"), answer)
    operator = UpdateChatsOperator(
        task_id="update", plan=[{"id": chat["id"], "status": "closed"}], check=True
    )
    lines = task_log(operator)
    result = operator.execute({})  # type: ignore[arg-type]
    assert (result["changed"], result["chats"]) == (1, None)
    assert server.chat(chat["id"])["status"] == "closed"
    assert any(f"U+0000 at chat {chat['id']} (before)" in line and "report_path" in line for line in lines)
