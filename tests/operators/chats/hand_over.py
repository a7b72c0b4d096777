"""A task of its own process: one try of the hand-over, for a test that kills it and tries again."""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_provider_helpcrunch.client import RetryPolicy
from airflow_provider_helpcrunch.exceptions import HelpCrunchError
from airflow_provider_helpcrunch.hooks import helpcrunch
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator


def by_id(chat: Mapping[str, Any], loads: Mapping[int, int]) -> int:
    """Choose by the chat alone, so that the plan is the same in every process."""
    return sorted(loads)[chat["id"] % len(loads)]


class FileStore:
    """Stands for Airflow 3.3's ``task_state_store``: what is set outlives the process at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def get(self, key: str, default: Any = None) -> Any:
        """Return what was set."""
        path = self._folder / key
        return json.loads(path.read_text()) if path.exists() else default

    def set(self, key: str, value: Any, **_: Any) -> None:
        """Write it whole or not at all."""
        draft = self._folder / f"{key}.new"
        draft.write_text(json.dumps(value))
        os.replace(draft, self._folder / key)

    def delete(self, key: str) -> None:
        """Forget it."""
        (self._folder / key).unlink(missing_ok=True)


class Instance:
    """Stands for the task instance: what is pushed goes to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep what is pushed."""
        self._path.write_text(json.dumps({key: value}))


def main() -> None:
    """Execute the operator with the arguments given as JSON, once ``starter`` exists, and say how it ended."""
    folder, arguments = Path(sys.argv[1]), json.loads(sys.argv[2])
    helpcrunch.RetryPolicy = functools.partial(RetryPolicy, first_pause=0.1)  # type: ignore[misc,assignment]
    context: dict[str, Any] = {"ti": Instance(folder / "xcom.json")}
    if arguments.pop("store"):
        context["task_state_store"] = FileStore(folder / "store")
    if starter := arguments.pop("starter", None):
        (folder / "ready").touch()
        while not Path(starter).exists():
            time.sleep(0.01)
    operator = ReassignChatsOperator(task_id="hand_over", **arguments)
    try:
        result = operator.execute(context)
        (folder / "xcom.json").write_text(json.dumps({"return_value": result}))
    except HelpCrunchError as error:
        (folder / "error.txt").write_text(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
