"""A state store whose worker may be killed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from task_context import Store


class MortalStore(Store):
    """
    Keeps nothing more of a worker that was killed: handlers of exceptions, which run in a test, do not run there.

    :param is_dead: says whether the worker was killed
    """

    def __init__(self, is_dead: Callable[[], bool]) -> None:
        super().__init__()
        self._is_dead = is_dead

    def set(self, key: str, value: Any, **named: Any) -> None:
        """Keep a value, unless the worker is dead."""
        if not self._is_dead():
            super().set(key, value, **named)

    def delete(self, key: str) -> None:
        """Forget a value, unless the worker is dead."""
        if not self._is_dead():
            super().delete(key)
