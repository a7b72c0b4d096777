"""The scheduler: time that only waiting moves, and threads whose order the seed draws."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

import pytest
from scheduler import START, Scheduler, Stuck


def order(seed: int) -> list[str]:
    """Let three threads take turns under one lock, and return who came when."""
    came: list[str] = []
    with Scheduler(seed, seconds=100):
        lock = threading.Lock()

        def work(name: str) -> None:
            for _ in range(4):
                with lock:
                    came.append(name)
                    time.sleep(1)

        threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.time() == START + 12
    return came


def test_hours_pass_at_once() -> None:
    began, real = time.perf_counter(), time.time()
    with Scheduler(1, seconds=10**6):
        assert (time.time(), time.monotonic()) == (START, 0.0)
        time.sleep(3600)
        assert not threading.Event().wait(1800)
        assert (time.time(), time.monotonic()) == (START + 5400, 5400.0)
    assert time.perf_counter() - began < 60
    assert 0 <= time.time() - real < 60


def test_the_order_is_that_of_the_seed() -> None:
    assert order(7) == order(7)
    assert len({tuple(order(seed)) for seed in range(10)}) > 1


def test_events_conditions_and_futures_wake_who_waits() -> None:
    with Scheduler(3, seconds=100):
        event, condition, heard = threading.Event(), threading.Condition(), []

        def wait() -> None:
            assert event.wait(50)
            with condition:
                assert condition.wait(50)
                heard.append(time.monotonic())

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(2)
        event.set()
        time.sleep(3)
        with condition:
            condition.notify_all()
        thread.join()
        assert heard == [5.0]
        future = Future[int]()
        threading.Thread(target=lambda: (time.sleep(4), future.set_result(7))).start()
        assert future.result() == 7
        assert time.monotonic() == 9.0


def test_a_condition_that_nobody_notifies_times_out() -> None:
    with Scheduler(3, seconds=100):
        condition = threading.Condition()
        with condition:
            assert not condition.wait(5)
            assert not condition.wait_for(lambda: False, 5)
        assert time.monotonic() == 10.0


@pytest.mark.parametrize("seconds", [None, 1000])
def test_what_cannot_go_on_is_stuck(seconds: float | None) -> None:
    def forever() -> None:
        while not threading.Event().wait(seconds):
            pass

    def both() -> None:
        with Scheduler(1, seconds=10**5):
            threading.Thread(target=forever).start()
            forever()

    with pytest.raises(Stuck):
        both()


def test_a_thread_that_is_left_over_comes_to_its_end_or_is_stuck() -> None:
    done: list[int] = []
    with Scheduler(1, seconds=100):
        threading.Thread(target=lambda: (time.sleep(50), done.append(1))).start()
    assert done == [1]

    def leave_over() -> None:
        with Scheduler(1, seconds=100):
            threading.Thread(target=threading.Event().wait).start()

    with pytest.raises(Stuck):
        leave_over()


def test_other_threads_do_not_notice() -> None:
    seen: list[float] = []

    def outside() -> None:
        for _ in range(5):
            began = time.perf_counter()
            time.sleep(0.02)
            threading.Event().wait(0.02)
            seen.extend((time.perf_counter() - began, time.time()))

    thread = threading.Thread(target=outside)
    thread.start()
    with Scheduler(1, seconds=10**6):
        while len(seen) < 4:
            time.sleep(1)
    thread.join()
    assert min(seen[::2]) >= 0.04
    assert max(seen[1::2]) < START


def test_locks_survive_the_simulation() -> None:
    with Scheduler(1, seconds=10):
        locks = [threading.Lock(), threading.RLock(), threading.Condition()]
    for lock in locks:
        with lock:
            pass
