"""
Virtual time and deterministic threads.

Inside ``with Scheduler(seed):`` the time of :mod:`time` moves only when every thread waits, and one thread runs at a
time: at each wait (sleep, event, condition, lock, join) the next one is drawn from the seed. So code under test runs
as it is, with its own threads and locks, without waiting for real, and the same in every run of a seed. Threads that
were there before do not notice. Not simulated is what waits in C: ``queue.SimpleQueue``, and so ``ThreadPoolExecutor``.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

START = 1_800_000_000.0
"""Where the virtual clock starts, in UNIX seconds: no clock of the real world shows it by chance."""

REAL_SECONDS = 60.0
"""Seconds for which one thread may keep all others from running: it waits for something that is not simulated."""

RealThread, RealLock, RealRLock = threading.Thread, threading.Lock, threading.RLock
RealCondition, RealEvent = threading.Condition, threading.Event
real_sleep, real_time, real_monotonic = time.sleep, time.time, time.monotonic


class Stuck(BaseException):
    """Nothing can go on, or nothing comes to an end. No code under test catches it."""


class _Task:
    """A thread of the simulation: its turn comes when ``ready`` says so, or at ``deadline``."""

    def __init__(self) -> None:
        self.baton = RealLock()
        self.baton.acquire()
        self.ready: Callable[[], bool] = lambda: True
        self.deadline = float("inf")


class Scheduler:
    """
    The clock, and whose turn it is.

    :param seed: draws the order of the threads
    :param seconds: virtual seconds after which the run counts as stuck
    """

    def __init__(self, seed: int, *, seconds: float) -> None:
        self.now = START
        self.switches = 0
        self._end = START + seconds
        self._chance = random.Random(seed)
        self._tasks: dict[int, _Task] = {}
        self._stuck: str | None = None

    def time(self) -> float:
        """Return the virtual time in UNIX seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.block(lambda: False, max(seconds, 0.0))

    def block(self, ready: Callable[[], bool], timeout: float | None = None) -> bool:
        """
        Wait, and let others run.

        :param ready: whether the wait is over
        :param timeout: virtual seconds at most; ``None``: until ready
        :return: whether it is ready
        :raises Stuck: no thread can go on any more, or the run takes too long
        """
        me = self._tasks[threading.get_ident()]
        me.ready = ready
        me.deadline = float("inf") if timeout is None else self.now + timeout
        self._hand_over(me)
        if self._stuck:
            raise Stuck(self._stuck)
        return ready()

    def has(self, ident: int) -> bool:
        """Say whether a thread is one of the simulation."""
        return ident in self._tasks

    def adopt(self, task: _Task) -> None:
        """Make the calling thread one of the simulation, once it is its turn."""
        task.baton.acquire()
        self._tasks[threading.get_ident()] = self._tasks.pop(id(task))

    def enrol(self) -> _Task:
        """Return the task of a thread that is about to start."""
        task = _Task()
        self._tasks[id(task)] = task  # until it runs, and its ident is known
        return task

    def leave(self) -> None:
        """Take the calling thread out of the simulation, and let another one run."""
        del self._tasks[threading.get_ident()]
        self._next().baton.release()

    def _hand_over(self, me: _Task) -> None:
        following = self._next()
        self.switches += 1
        if following is not me:
            following.baton.release()
            if not me.baton.acquire(timeout=REAL_SECONDS):
                message = "a thread waits outside of the simulation: see the primitives that it knows"
                raise Stuck(message)

    def _next(self) -> _Task:
        """Choose who goes on; where nobody can, let time pass until somebody does."""
        tasks = list(self._tasks.values())
        if self._stuck:  # all end: the main thread last
            return tasks[-1]
        able = [task for task in tasks if task.deadline <= self.now or task.ready()]
        if not able:
            self.now = min(task.deadline for task in tasks)
            able = [task for task in tasks if task.deadline <= self.now]
        if self.now > self._end:
            self._stuck = "deadlock" if self.now == float("inf") else "no end in sight"
            return tasks[0]
        return able[0] if len(able) == 1 else self._chance.choice(able)

    def __enter__(self) -> Scheduler:
        self._stack = ExitStack()
        task = _Task()
        self._tasks[threading.get_ident()] = task
        _Current.scheduler = self
        for name, made in _PRIMITIVES.items():
            self._stack.enter_context(mock.patch.object(threading, name, made))
        for name, (virtual, real) in _CLOCKS.items():
            self._stack.enter_context(mock.patch.object(time, name, _timed(virtual, real)))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._end_all()
        finally:
            _Current.scheduler = None
            self._tasks.clear()
            self._stack.close()
        if self._stuck and kind is not Stuck:
            raise Stuck(self._stuck)

    def _end_all(self) -> None:
        """Let the other threads come to their end."""
        me = self._tasks[threading.get_ident()]
        me.ready, me.deadline = (lambda: len(self._tasks) == 1), float("inf")
        while len(self._tasks) > 1:
            self._hand_over(me)


class _Current:
    """The simulation that runs, if any, and whether new primitives are real ones even so."""

    scheduler: Scheduler | None = None
    plain = False


def _simulating() -> Scheduler | None:
    """Return the simulation that the calling thread belongs to, unless it makes something for itself."""
    scheduler = _Current.scheduler
    if scheduler is None or _Current.plain or not scheduler.has(threading.get_ident()):
        return None
    return scheduler


@contextmanager
def _plain() -> Iterator[None]:
    """Make real primitives inside the block: those that a thread needs for itself."""
    before, _Current.plain = _Current.plain, True
    try:
        yield
    finally:
        _Current.plain = before


_CLOCKS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "time": (lambda scheduler: scheduler.now, real_time),
    "monotonic": (lambda scheduler: scheduler.now - START, real_monotonic),
    "sleep": (lambda scheduler, seconds: scheduler.sleep(seconds), real_sleep),
}


def _timed(virtual: Callable[..., Any], real: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*arguments: Any) -> Any:
        scheduler = _simulating()
        return real(*arguments) if scheduler is None else virtual(scheduler, *arguments)

    return timed


class _Ticket:
    """The place of a waiter in the queue of a condition."""

    called = False


class _Lock:
    """A lock whose waiters let others run. Threads outside of the simulation may use it too."""

    def __init__(self) -> None:
        self._lock = RealLock()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        while not self._lock.acquire(False):
            if not blocking:
                return False
            if (scheduler := _simulating()) is None:
                return self._lock.acquire(True, timeout)
            if not scheduler.block(self._is_free, None if timeout < 0 else timeout):
                return False
        return True

    def _is_free(self) -> bool:
        return not self._lock.locked()

    def release(self) -> None:
        self._lock.release()

    def locked(self) -> bool:
        return self._lock.locked()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class _RLock(_Lock):
    """The same, for a thread that already has it."""

    def __init__(self) -> None:
        super().__init__()
        self._owner: int | None = None
        self._depth = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if not self._is_owned() and not super().acquire(blocking, timeout):
            return False
        self._owner = threading.get_ident()
        self._depth += 1
        return True

    def release(self) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None
            super().release()

    def _is_owned(self) -> bool:
        return self._owner == threading.get_ident()

    def _release_save(self) -> int:
        depth, self._depth, self._owner = self._depth, 0, None
        super().release()
        return depth

    def _acquire_restore(self, depth: int) -> None:
        super().acquire()
        self._depth, self._owner = depth, threading.get_ident()


class _Condition(RealCondition):
    """A condition whose waiters let others run."""

    def __init__(self, lock: Any = None) -> None:
        super().__init__(lock)
        self._tickets: list[_Ticket] = []

    def wait(self, timeout: float | None = None) -> bool:
        if (scheduler := _simulating()) is None:
            return super().wait(timeout)
        ticket = _Ticket()
        self._tickets.append(ticket)
        saved = self._release_save()
        try:
            return scheduler.block(lambda: ticket.called, timeout)
        finally:
            self._acquire_restore(saved)
            if ticket in self._tickets:
                self._tickets.remove(ticket)

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        if (scheduler := _simulating()) is None:
            return super().wait_for(predicate, timeout)
        end = float("inf") if timeout is None else scheduler.now + timeout
        while not (result := predicate()) and scheduler.now < end:
            self.wait(None if timeout is None else end - scheduler.now)
        return result

    def notify(self, n: int = 1) -> None:
        for ticket in self._tickets[:n]:
            ticket.called = True
            self._tickets.remove(ticket)
        super().notify(n)

    def notify_all(self) -> None:
        for ticket in self._tickets:
            ticket.called = True
        self._tickets.clear()
        super().notify_all()


class _Event(RealEvent):
    """An event whose waiters let others run."""

    def wait(self, timeout: float | None = None) -> bool:
        if (scheduler := _simulating()) is None:
            return super().wait(timeout)
        return self.is_set() or scheduler.block(self.is_set, timeout)


class _Thread(RealThread):
    """A thread that runs when it is its turn, if a thread of the simulation starts it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._scheduler: Scheduler | None = None
        self._over = False
        with _plain():
            super().__init__(*arguments, **named)

    def start(self) -> None:
        if (scheduler := _simulating()) is not None:
            self._scheduler, self._task = scheduler, scheduler.enrol()
        with _plain():
            super().start()

    def run(self) -> None:
        if self._scheduler is None:
            super().run()
            return
        self._scheduler.adopt(self._task)
        try:
            super().run()
        except Stuck:
            pass  # the main thread says so
        finally:
            self._over = True
            self._scheduler.leave()

    def join(self, timeout: float | None = None) -> None:
        if self._scheduler is None or _simulating() is None:
            super().join(timeout)
        else:
            self._scheduler.block(lambda: self._over, timeout)

    def is_alive(self) -> bool:
        return super().is_alive() if self._scheduler is None else not self._over


def _chosen(virtual: Any, real: Any) -> Any:
    """Return a factory of virtual primitives for the threads of the simulation, and of real ones for others."""
    return lambda *arguments: (real if _simulating() is None else virtual)(*arguments)


_PRIMITIVES = {
    "Lock": _chosen(_Lock, RealLock),
    "RLock": _chosen(_RLock, RealRLock),
    "Condition": _chosen(_Condition, RealCondition),
    "Event": _chosen(_Event, RealEvent),
    "Thread": _Thread,
}
