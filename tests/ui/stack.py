"""The Airflow of ``make airflow`` in an environment of its own, with its local HelpCrunch."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from paused_tasks import is_paused
from processes import CLONE, SANDBOX_KEY, Processes

START_TIMEOUT = 900

EXAMPLES = sorted(path.stem for path in (CLONE / "dags").glob("example_*.py"))

AIRFLOWS = {
    "3.3.2": ("airflow3", "--agents", "12", "--chats", "120"),
    "3.1.8": ("constraints-3.1.8", "--pages-only", "--agents", "3", "--chats", "0"),
    "2.11.2": ("airflow2", "--pages-only", "--agents", "3", "--chats", "0"),
}
"""For each version the environment below ``.venv``, and what ``scripts/airflow_ui.py`` is told."""


@dataclass(frozen=True)
class Stack:
    """An Airflow that serves its pages, and the account beside it."""

    environment: str
    python: Path
    url: str
    user: str
    password: str
    api_url: str
    home: Path
    database: str
    key: str = SANDBOX_KEY

    @classmethod
    @contextlib.contextmanager
    def running(cls, folder: Path, environment: str, *flags: str) -> Iterator[Self]:
        """
        Start one, and end it with the ``with`` block.

        :param folder: where its output is kept
        :param environment: its folder below ``.venv``
        :param flags: what else the command line of ``scripts/airflow_ui.py`` says
        """
        python = CLONE / ".venv" / environment / "bin" / "python"
        with Processes(folder, dict(os.environ), cwd=CLONE, patience=START_TIMEOUT) as processes:
            command = (str(python), "scripts/airflow_ui.py", *flags)
            processes.launch("airflow", *command, stop=signal.SIGINT)
            log = processes.log("airflow")
            processes.wait_until(lambda: "Ctrl-C" in log.read_text(), "airflow", pause=0.5)
            said = dict(re.findall(r"^(\w+) +(\S+)", log.read_text(), re.MULTILINE))
            on_sqlite = said["database"].startswith("sqlite")
            assert on_sqlite == ("--pages-only" in flags), "PostgreSQL is not installed: make servers"
            stack = cls(
                environment=environment,
                python=python,
                url=said["Airflow"],
                user=said["login"],
                password=said["password"],
                api_url=said["HelpCrunch"],
                home=Path(said["logs"]),
                database=said["database"],
            )
            if "--pages-only" not in flags:
                processes.wait_until(stack.has_read_dags, "airflow", pause=1)
            yield stack

    def has_read_dags(self) -> bool:
        """Say whether all example DAGs are there: a page about one that is not there stays an error."""
        user = {"username": self.user, "password": self.password}
        try:
            token = fetched(f"{self.url}/auth/token", json.dumps(user).encode())["access_token"]
            dags = fetched(f"{self.url}/api/v2/dags?limit=100", Authorization=f"Bearer {token}")
        except OSError:
            return False
        return int(dags["total_entries"]) == len(EXAMPLES)

    def command(self, *arguments: str) -> str:
        """Run ``airflow arguments`` as a person beside this Airflow does, and return what it prints."""
        return self.run_python("-m", "airflow", *arguments)

    def run_python(self, *arguments: str) -> str:
        """Run ``python arguments`` in the environment of this Airflow, and return what it prints."""
        done = subprocess.run(
            [self.python, *arguments],
            env={
                **os.environ,
                "AIRFLOW_HOME": str(self.home),
                "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database,
                "TMPDIR": str(self.home / "tmp"),
            },
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def wait_until_paused(self, run_id: str, task_id: str) -> None:
        """Wait until a task that waits for a person can be answered."""
        deadline = time.monotonic() + START_TIMEOUT
        while not is_paused(self.home, run_id, task_id):
            assert time.monotonic() < deadline, f"{task_id} of {run_id} has not asked anybody."
            time.sleep(0.5)

    def journal(self) -> list[dict[str, Any]]:
        """Return the requests that HelpCrunch has had, oldest first."""
        return self._sandbox("journal")

    def truth(self, resource: str) -> list[dict[str, Any]]:
        """Return the records that the account has."""
        return self._sandbox(f"truth/{resource}")

    def writes(self) -> list[dict[str, Any]]:
        """Return the requests that have changed a chat."""
        return [
            request
            for request in self.journal()
            if request["method"] == "PUT" and request["path"].startswith("/v1/chats/")
        ]

    def open_chats(self, agent: int | None) -> list[dict[str, Any]]:
        """Return an agent's chats that are not closed, or those of nobody."""
        return [
            chat
            for chat in self.truth("chats")
            if (chat["assignee"] or {}).get("id") == agent and chat["status"] not in ("closed", "empty")
        ]

    def busy_agent(self, *others: int) -> int:
        """
        Return an agent with some open chats, but not more than fit into a window.

        :param others: agents who have another part
        """
        agents = (agent["id"] for agent in self.truth("agents"))
        return next(
            agent for agent in agents if agent not in others and 4 <= len(self.open_chats(agent)) <= 7
        )

    def _sandbox(self, path: str) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = fetched(f"{self.api_url.removesuffix('/v1')}/_sandbox/{path}")
        return records


def fetched(url: str, body: bytes | None = None, **headers: str) -> Any:
    """Return the JSON at an address, or what a POST of a body there is answered with."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
