"""The command of a check: where the account comes from, what is printed where, and the exit code."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

import pytest
from code_blocks import sample

from airflow_provider_helpcrunch.__main__ import main
from airflow_provider_helpcrunch.check import command
from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.hooks import helpcrunch as hooks
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

HOST = "http://127.0.0.1/v1"
ANSWERED = "HelpCrunch accepts the API key. 29 of 32 questions are answered, with 17 requests"


class Terminal:
    """Runs the command on an account in process."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._patch = patch
        self._capture = capture
        for name in ("HELPCRUNCH_API_KEY", "HELPCRUNCH_API_URL", "AIRFLOW_CONN_HELPCRUNCH_DEFAULT"):
            patch.delenv(name, raising=False)
        # Set by the command for its own process; this way it goes with the test.
        patch.setenv("_AIRFLOW_PROCESS_CONTEXT", "")
        patch.delenv("_AIRFLOW_PROCESS_CONTEXT")
        self.out = self.err = ""

    def connect(self, account: Sandbox) -> None:
        """Let every client reach this account, without a socket."""
        limit = {"rate_limit_store": "memory://", "requests_per_minute": 10_000}
        client = partial(HelpCrunchClient, http_adapter=account.adapter(), **limit)
        for module in (command, hooks):
            self._patch.setattr(module, "HelpCrunchClient", client)

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self._patch.setenv(name, value)

    def run(self, *arguments: str) -> int:
        code = main(["check", *arguments])
        self.out, err = self._capture.readouterr()
        # Without what Airflow 2 logs, with the time in front.
        self.err = "".join(line for line in err.splitlines(keepends=True) if not line.startswith("["))
        return code


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(monkeypatch, capsys)


class Talkative(hooks.HelpCrunchHook):
    """A hook as of Airflow 2, which logs to standard output."""

    def client_with(self, *arguments: Any) -> HelpCrunchClient:
        sys.stdout.write("Retrieving connection\n")
        return super().client_with(*arguments)


def connection(**fields: Any) -> str:
    return json.dumps({"conn_type": "helpcrunch", "password": "sandbox-key", "host": HOST, **fields})


def test_the_key_comes_from_the_environment(terminal: Terminal) -> None:
    terminal.connect(Sandbox())
    terminal.set(HELPCRUNCH_API_KEY="sandbox-key", HELPCRUNCH_API_URL=HOST)
    assert terminal.run() == 0
    assert terminal.err == ""
    assert terminal.out.startswith(
        f"{ANSWERED}; nothing contradicts what\nthis package assumes.\n\nNot answered:\n"
    )
    assert max(map(len, terminal.out.splitlines())) <= 110


def test_a_host_goes_before_the_environment(terminal: Terminal) -> None:
    terminal.connect(Sandbox())
    terminal.set(HELPCRUNCH_API_KEY="sandbox-key", HELPCRUNCH_API_URL="http://helpcrunch.example/v1")
    assert terminal.run() == 2
    assert "The API URL must begin with https://" in terminal.err
    assert terminal.run("--host", HOST) == 0


@pytest.mark.parametrize("arguments", [(), ("--conn-id", "helpcrunch_default")])
def test_the_account_comes_from_the_connection(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    terminal.connect(Sandbox())
    terminal.set(AIRFLOW_CONN_HELPCRUNCH_DEFAULT=connection())
    if arguments:
        terminal.set(HELPCRUNCH_API_KEY="another-key")
    assert terminal.run(*arguments) == 0
    assert terminal.err == ""


def test_json_is_all_that_is_printed(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "HelpCrunchHook", Talkative)
    terminal.connect(Sandbox(ignore_offset=True))
    terminal.set(AIRFLOW_CONN_HELPCRUNCH_DEFAULT=connection(extra={"unknown": 1}))
    assert terminal.run("--json") == 1
    assert "Retrieving connection" in terminal.err
    report = json.loads(terminal.out)
    assert list(report) == ["versions", "api", "requests", "questions"]
    assert (report["api"], report["requests"]) == ("another address", 17)
    (offset,) = [question for question in report["questions"] if question["name"] == "offset"]
    assert offset == {
        "name": "offset",
        "question": "offset",
        "answer": "ignored: each page is the first one",
        "verdict": "contradicted",
        "assumption": "must be obeyed",
        "consequence": "Lists longer than one page cannot be read: the task fails and says so.",
    }


def test_a_contradiction_comes_first_and_is_the_exit_code(terminal: Terminal) -> None:
    terminal.connect(Sandbox(total="high"))
    terminal.set(HELPCRUNCH_API_KEY="sandbox-key", HELPCRUNCH_API_URL=HOST)
    assert terminal.run() == 1
    summary, contradictions, *_ = terminal.out.split("\n\n")
    assert (
        "1 contradicts what this package assumes. Please report it with the output of --json"
        in summary.replace("\n", " ")
    )
    assert contradictions.startswith("Not as assumed:\n  totals  ")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (
            Fault("status", status=401),
            "Check the API key (Settings → Developers → Public API in HelpCrunch).",
        ),
        (
            Fault("status", status=403),
            "Check the API key (Settings → Developers → Public API in HelpCrunch).",
        ),
        (Fault("status", status=404), "Something answers at this address, but not HelpCrunch."),
        (Fault("html"), "Something answers at this address, but not HelpCrunch."),
        (Fault("garbage"), "Something answers at this address, but not HelpCrunch."),
        (Fault("redirect"), "which is not followed."),
        (Fault("status", status=503), "HelpCrunch answered 503"),
        (Fault("reset"), f"connection reset. Check the API URL (host) {HOST}, network, firewall and proxy."),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_what_fails_at_once_is_one_sentence(terminal: Terminal, fault: Fault, sentence: str) -> None:
    account = Sandbox(faults=[fault])
    terminal.connect(account)
    terminal.set(HELPCRUNCH_API_KEY="sandbox-key", HELPCRUNCH_API_URL=HOST)
    assert terminal.run() == 2
    assert terminal.out == ""
    assert sentence in terminal.err
    assert terminal.err.count("\n") == 1
    assert len(account.journal) == 1


def test_a_wrong_key_is_one_sentence(terminal: Terminal) -> None:
    account = Sandbox()
    terminal.connect(account)
    terminal.set(HELPCRUNCH_API_KEY="wrong-key-of-somebody", HELPCRUNCH_API_URL=HOST)
    assert terminal.run() == 2
    assert terminal.err.startswith("GET /agents: HelpCrunch answered 401: ")
    assert "wrong-key" not in terminal.err
    assert len(account.journal) == 1


@pytest.mark.parametrize(
    ("variables", "arguments", "sentence"),
    [
        ({"HELPCRUNCH_API_KEY": ""}, (), "The HelpCrunch API key is empty."),
        ({"HELPCRUNCH_API_KEY": "<key>"}, (), "The HelpCrunch API key has angle brackets around it."),
        (
            {"HELPCRUNCH_API_KEY": "key"},
            ("--host", "http://helpcrunch.example"),
            "The API URL must begin with https://",
        ),
        ({"HELPCRUNCH_API_KEY": "key"}, ("--host", "ftp://x"), "The API URL must look like"),
        ({}, (), "Airflow has no connection 'helpcrunch_default': name another one with --conn-id"),
        ({"HELPCRUNCH_API_KEY": "key"}, ("--conn-id", "other"), "Airflow has no connection 'other'"),
        ({"HELPCRUNCH_API_KEY": "key"}, ("--host", ""), "--host is empty; give it a value"),
        ({"HELPCRUNCH_API_KEY": "key"}, ("--conn-id", " "), "--conn-id is empty; give it a value"),
        ({}, ("--host", HOST), "--host belongs to the key in HELPCRUNCH_API_KEY"),
        ({}, ("--conn-id", "other", "--host", HOST), "--host belongs to the key in HELPCRUNCH_API_KEY"),
        ({"AIRFLOW_CONN_HELPCRUNCH_DEFAULT": connection(password="")}, (), "it has no API key"),
        (
            {"AIRFLOW_CONN_HELPCRUNCH_DEFAULT": connection(extra={"inbox_domain": "shop.example"})},
            (),
            "inbox_domain must be the first part of your inbox's address",
        ),
    ],
)
def test_a_wrong_argument_is_one_sentence_before_anything_is_sent(
    terminal: Terminal, variables: dict[str, str], arguments: tuple[str, ...], sentence: str
) -> None:
    account = Sandbox()
    terminal.connect(account)
    terminal.set(**variables)
    assert terminal.run(*arguments) == 2
    assert terminal.out == ""
    *others, last = terminal.err.splitlines()
    assert sentence in last
    # Without a database of its own, Airflow 2 says why it found no connection there.
    assert not others or (others[0].startswith("Traceback") and "no such table: connection" in terminal.err)
    assert account.journal == []


def test_without_airflow_there_is_no_connection(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow", None)
    assert terminal.run() == 2
    assert terminal.err == (
        "Airflow is not installed here: put the API key into the environment variable HELPCRUNCH_API_KEY.\n"
    )


def test_a_command_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 2
    assert "the following arguments are required: COMMAND" in capsys.readouterr().err


def test_it_says_how_long_it_waits_for_other_tasks(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(command.time, "sleep", slept.append)
    command._wait(12.4)
    assert slept == [12.4]
    assert capsys.readouterr().err == "Waiting 12 s for the account's rate limit, which other tasks use.\n"


def test_the_page_shows_what_the_command_prints(terminal: Terminal) -> None:
    terminal.connect(Sandbox(now="2026-01-31", domain="shop"))
    terminal.set(HELPCRUNCH_API_KEY="sandbox-key")
    assert terminal.run("--host", HOST) == 0
    assert terminal.out == sample("check.md", f"{ANSWERED}; nothing contradicts")
    terminal.connect(Sandbox(now="2026-01-31", domain="shop", ignore_offset=True))
    assert terminal.run("--host", HOST) == 1
    assert terminal.out.startswith(sample("check.md", f"{ANSWERED}; 2 contradict"))
