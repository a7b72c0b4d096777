"""Log lines of every operator, also on an account with long names and errors: they fit a screen, and tables fold."""

from __future__ import annotations

import functools
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from every_operator import REQUIRED, every_operator
from task_context import Instance

from airflow_provider_helpcrunch.client import RetryPolicy
from airflow_provider_helpcrunch.exceptions import HelpCrunchError
from airflow_provider_helpcrunch.hooks import helpcrunch
from airflow_provider_helpcrunch.log_tables import log_table
from airflow_provider_helpcrunch.operators.base import HelpCrunchOperator
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator, UpdateChatsOperator
from airflow_provider_helpcrunch.operators.customers import SearchCustomersOperator
from airflow_provider_helpcrunch.operators.exports import ExportChatsOperator, ExportMessagesOperator
from airflow_provider_helpcrunch.operators.messages import ListMessagesOperator
from airflow_provider_helpcrunch.operators.upsert import UpsertCustomersOperator
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.sensors.chats import ChatsSensor

WIDTH = 120
LONG_NAME = "Maximiliane Wilhelmina Theodora Alexandra von und zu Hohenberg-Schwarzenstein"

Lines = Callable[[HelpCrunchOperator], list[str]]


@pytest.fixture
def lines(
    task_log: Callable[[Any], list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Lines]:
    """Run an operator, and return all messages of its task, those of the client and the storage too."""
    monkeypatch.chdir(tmp_path)
    logger, handler = logging.getLogger("airflow_provider_helpcrunch"), logging.Handler()
    logger.addHandler(handler)
    monkeypatch.setattr(logger, "level", logging.INFO)

    def run(operator: HelpCrunchOperator) -> list[str]:
        messages = task_log(operator)
        handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
        try:
            operator.execute({"ti": Instance(), "run_id": "night 1"})  # type: ignore[typeddict-item]
        except HelpCrunchError as error:
            messages.append(f"failed: {type(error).__name__}: {error}")
        return messages

    yield run
    logger.removeHandler(handler)


@pytest.fixture
def server(sandbox: Callable[..., Sandbox], connection: Callable[..., None]) -> Sandbox:
    server = sandbox(agents=6, chats=40, canary=LONG_NAME)
    connection(server, inbox_domain="shop")
    return server


def too_long(messages: list[str]) -> list[str]:
    """
    Return the lines that are too long, not counting paths: they are as long as their author chose.

    Nor does the error count that ends a task, because it quotes HelpCrunch: it is the only place for all of that.
    """
    logged = [message for message in messages if not message.startswith("failed: ")]
    lines = [line for message in logged for line in message.splitlines()]
    return [line for line in lines if len(re.sub(r"\S*/\S{20,}", "path", line)) > WIDTH]


def groups(messages: list[str]) -> list[str]:
    """Return the titles of the folded groups; fail unless each is closed, and each mark is a message of its own."""
    titles, is_open = [], False
    for message in messages:
        if message.startswith("::group::"):
            assert not is_open
            assert "\n" not in message
            titles.append(message.removeprefix("::group::"))
            is_open = True
        elif message == "::endgroup::":
            assert is_open
            is_open = False
        else:
            assert "group::" not in message
    assert not is_open
    return titles


@pytest.mark.parametrize("operator", every_operator(), ids=lambda operator: operator.__name__)
def test_every_operator(operator: type[HelpCrunchOperator], server: Sandbox, lines: Lines) -> None:
    arguments = {"task_id": "task", "patience": 5, **REQUIRED.get(operator.__name__, {})}
    if operator is ExportMessagesOperator:
        lines(ExportChatsOperator(task_id="chats", **REQUIRED["ExportChatsOperator"]))
    if operator is ChatsSensor:
        arguments |= {"timeout": 5, "poke_interval": 1}
    messages = lines(operator(**arguments))
    assert messages
    assert len(server.journal)
    assert too_long(messages) == []
    groups(messages)


LASTING = {
    "refused": None,
    "reset": Fault("reset", times=0),
    "cut short": Fault("truncate", times=0),
    "never": Fault("hang", times=0),
    "500": Fault("status", status=500, times=0),
    "503 of a proxy": Fault("status", status=503, body="html", times=0),
    "an error in a 200": Fault("errors", times=0),
    "a page of HTML": Fault("html", times=0),
}
"""Faults that last, by what comes of a request; ``None``: nothing listens."""

LISTING: list[tuple[type[HelpCrunchOperator], dict[str, Any]]] = [
    (ListMessagesOperator, REQUIRED["ListMessagesOperator"]),
    (SearchCustomersOperator, {}),
    (ReassignChatsOperator, REQUIRED["ReassignChatsOperator"]),
]


@pytest.mark.parametrize(("operator", "arguments"), LISTING, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("fault", LASTING.values(), ids=LASTING.keys())
def test_every_retry(
    fault: Fault | None,
    operator: type[HelpCrunchOperator],
    arguments: dict[str, Any],
    server: Sandbox,
    lines: Lines,
    connection: Callable[..., None],
    closed_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick = functools.partial(RetryPolicy, first_pause=0.001, longest_pause=0.002, max_attempts=3)
    monkeypatch.setattr(helpcrunch, "RetryPolicy", quick)
    connection(server, **({"read_timeout": 0.05} if fault == LASTING["never"] else {}))
    if fault is None:
        connect_to_nothing(monkeypatch, server, closed_port)
    else:
        server.add_fault(fault)
    messages = lines(operator(task_id="task", **arguments))
    retries = [line for line in messages if "rying again" in line]
    assert len(retries) == 2
    assert too_long(messages) == []
    assert "(host=" not in " ".join(messages)
    if fault is None or fault.kind in ("reset", "truncate", "hang"):
        (failure,) = (line for line in messages if line.startswith("failed: "))
        cause = retries[0].partition("no complete response: ")[2]
        # How long it took differs from one attempt to the next.
        assert cause.partition(" after ")[0].removesuffix(".") in failure
        assert "…" not in cause
        assert failure.endswith(", network, firewall and proxy.")


def test_a_pause_of_all_requests(server: Sandbox, lines: Lines) -> None:
    server.add_fault(Fault("status", status=429, retry_after="0", path="*/messages"))
    messages = lines(ListMessagesOperator(task_id="task", **REQUIRED["ListMessagesOperator"]))
    assert any("trying again" in message for message in messages)
    assert too_long(messages) == []


def connect_to_nothing(monkeypatch: pytest.MonkeyPatch, server: Sandbox, port: int) -> None:
    fields = json.loads(server.connection()) | {"host": f"http://127.0.0.1:{port}/v1"}
    monkeypatch.setenv("AIRFLOW_CONN_HELPCRUNCH_DEFAULT", json.dumps(fields))


def test_unknown_extras(server: Sandbox, lines: Lines, connection: Callable[..., None]) -> None:
    connection(server, **{f"setting_of_some_other_kind_{number}": "x" for number in range(5)})
    messages = lines(ListMessagesOperator(task_id="task", chats=[4_410_001]))
    assert any("has unknown extras" in message for message in messages)
    assert too_long(messages) == []


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_table_of_long_names_and_refusals(server: Sandbox, lines: Lines, *, dry_run: bool) -> None:
    mine = server.insert_chats(5, assignee=1001)
    fault = {"status": 400, "body": "documented", "method": "PUT", "times": 0}
    server.add_fault(Fault("status", chat=mine[0]["id"], **fault))  # type: ignore[arg-type]
    messages = lines(
        ReassignChatsOperator(
            task_id="move", from_agents=1001, to_agents=[1002, 1003], dry_run=dry_run, on_error="report"
        )
    )
    (title,) = groups(messages)
    assert title.endswith(" results")
    (table,) = (message for message in messages if "outcome\n" in message)
    assert "(1002)" in table
    assert "…" in table
    assert dry_run or "refused: " in table
    assert [line for line in too_long(messages) if line in table] == []


def test_a_plan_whose_chats_do_not_exist(server: Sandbox, lines: Lines) -> None:
    plan = [{"id": number, "assignee": 1002, "status": "pending"} for number in (1, 2, 3)]
    messages = lines(UpdateChatsOperator(task_id="plan", plan=plan))
    assert len(groups(messages)) == 1
    (table,) = (message for message in messages if "outcome\n" in message)
    assert too_long([table]) == []


def test_the_rows_of_a_dry_run_of_customers_fold_and_refused_ones_do_not(
    server: Sandbox, lines: Lines
) -> None:
    rows = [{"userId": f"u-{number}", "name": LONG_NAME} for number in range(30)]
    messages = lines(UpsertCustomersOperator(task_id="write", customers=[*rows, {"name": "x"}], dry_run=True))
    assert groups(messages) == ["Dry run of 30 rows"]
    refused = next(number for number, message in enumerate(messages) if message.startswith("Row 31 was"))
    assert refused < messages.index("::group::Dry run of 30 rows")


def test_airflow_folds_a_table_whose_marks_are_messages_of_their_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger("task")
    with caplog.at_level("INFO", logger="task"):
        log_table(logger, "Chats 100%", "id\n 1")
    assert caplog.messages == ["::group::Chats 100%", "Chats 100%:\nid\n 1", "::endgroup::"]
    assert {record.levelname for record in caplog.records} == {"INFO"}
