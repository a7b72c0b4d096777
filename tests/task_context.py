"""Stand-ins for what a task's context holds, for tests that call an operator without Airflow around it."""

from __future__ import annotations

import json
from typing import Any


class Instance:
    """
    Stands for the task instance; keeps what is pushed to XCom, as JSON has it.

    :param try_number: which try it is, from 1 (1)
    """

    def __init__(self, try_number: int = 1) -> None:
        self.try_number = try_number
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = json.loads(json.dumps(value))


class Store:
    """
    Stands for Airflow 3.3's ``task_state_store``: JSON alone survives. The real one is in ``test_state_store.py``.

    :param broken: the methods that fail
    """

    def __init__(self, *broken: str) -> None:
        self.kept: dict[str, str] = {}
        self.largest = 0
        self.broken = broken

    def get(self, key: str, default: Any = None) -> Any:
        self._fail("get")
        return json.loads(self.kept[key]) if key in self.kept else default

    def set(self, key: str, value: Any, **_: Any) -> None:
        self._fail("set")
        assert value is not None
        self.kept[key] = json.dumps(value)
        self.largest = max(self.largest, len(self.kept[key]))

    def delete(self, key: str) -> None:
        self._fail("delete")
        self.kept.pop(key, None)

    def _fail(self, method: str) -> None:
        if method in self.broken:
            message = "the API server is away"
            raise RuntimeError(message)
