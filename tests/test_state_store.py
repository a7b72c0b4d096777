"""Airflow's state store: values of this work alone, and a store that fails."""

from __future__ import annotations

from typing import Any

import pytest
from task_context import Store

from airflow_provider_helpcrunch.exceptions import HelpCrunchError
from airflow_provider_helpcrunch.state_store import StateStore


class Broken:
    """A store in which each call fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0

    def get(self, *_: Any) -> Any:
        self.calls += 1
        raise self.error

    set = delete = get


def use(store: StateStore, call: str) -> Any:
    return {"get": lambda: store.get(0), "set": lambda: store.set(0, 1), "delete": lambda: store.delete(0)}[
        call
    ]()


def test_values_of_other_work_are_not_found() -> None:
    kept = Store()
    mine, other = (StateStore(kept, work, without="start over") for work in ("mine", "other"))
    mine.set(0, [1])
    mine.set("doubts", [2])
    assert (mine.get(0), mine.get("doubts"), mine.get(1)) == ([1], [2], None)
    assert other.get(0) is None
    mine.delete(0)
    assert (mine.get(0), mine.get("doubts")) == (None, [2])


@pytest.mark.parametrize("call", ["get", "set", "delete"])
class TestTrouble:
    def test_an_airflow_without_a_store(self, call: str) -> None:
        store = StateStore(None, "work", without="start over")
        assert use(store, call) is None
        assert not store.is_open

    def test_a_store_that_fails_is_not_asked_again(self, call: str, caplog: pytest.LogCaptureFixture) -> None:
        broken = Broken(RuntimeError("no such table"))
        store = StateStore(broken, "work", without="start over")
        assert use(store, call) is None
        assert not store.is_open
        assert use(store, call) is None
        assert broken.calls == 1
        (line,) = [record.getMessage() for record in caplog.records if "state store" in record.getMessage()]
        assert line == "Airflow's state store cannot be used, so a retry would start over: no such table"

    def test_a_store_that_is_needed(self, call: str) -> None:
        store = StateStore(
            Broken(RuntimeError("gone")), "work", without="start over", needed_because="it is asked for"
        )
        with pytest.raises(HelpCrunchError, match=r"\(gone\), so the task stops: it is asked for\. A retry"):
            use(store, call)

    @pytest.mark.parametrize("error", [EOFError(), BrokenPipeError()])
    def test_a_task_without_its_supervisor_stops(self, call: str, error: Exception) -> None:
        store = StateStore(Broken(error), "work", without="start over")
        with pytest.raises(HelpCrunchError, match="Airflow no longer responds to this task, so it stops"):
            use(store, call)
