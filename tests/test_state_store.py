"""Airflow's state store: values of this work alone, and a store that fails."""

from __future__ import annotations

from datetime import timedelta
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

    def get(self, *_: Any, **__: Any) -> Any:
        self.calls += 1
        raise self.error

    set = delete = get


def use(store: StateStore, call: str) -> Any:
    return {"get": lambda: store.get(0), "set": lambda: store.set(0, 1), "delete": lambda: store.delete(0)}[
        call
    ]()


def test_values_of_other_work_are_deleted() -> None:
    kept = Store()
    mine, other = (StateStore(kept, work, "doubts", without="start over") for work in ("mine", "other"))
    assert mine.begin() == []
    mine.set(0, [1])
    mine.set("doubts", [2])
    assert (mine.get(0), mine.get("doubts"), mine.get(1)) == ([1], [2], None)
    assert mine.begin() == [[1]]
    assert other.begin() == []
    assert (other.get(0), other.get("doubts")) == (None, None)
    assert mine.begin() == []


def test_nothing_expires_while_the_task_goes_on() -> None:
    class Aging(Store):
        def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
            assert retention == timedelta.max

    store = StateStore(Aging(), "work", without="start over", needed_because="it is asked for")
    store.begin()
    store.set(0, [1])


def test_a_store_that_fails_when_the_task_is_done_does_not_repeat_the_work() -> None:
    kept = Store()
    store = StateStore(kept, "work", without="start over", needed_because="it is asked for")
    store.begin()
    for number in range(3):
        store.set(number, [number])
    deleted: list[str] = []

    def delete(key: str) -> None:
        deleted.append(key)
        if len(deleted) == 2:
            raise RuntimeError("gone")
        Store.delete(kept, key)

    kept.delete = delete  # type: ignore[method-assign]
    store.clear(3)
    assert deleted[0] == "helpcrunch_work"
    del kept.delete  # type: ignore[method-assign]
    again = StateStore(kept, "work", without="start over")
    assert again.begin() == []
    assert kept.kept.keys() == {"helpcrunch_work"}


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
