"""
Sockets, locks and threads, which a forked process must not share with its parent.

Celery's prefork pool, ``multiprocessing`` and a hook at module level fork a process that has used a client before. Two
processes on one socket read each other's responses, a lock that another thread held stays locked forever, and only the
thread that forked is alive. So an object that holds one of these renews it in the child.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """Holder of something that a forked process must not share."""

    def after_fork(self) -> None:
        """Replace sockets, locks and threads; called in the child, where no other thread runs yet."""


class Pausable(Protocol):
    """Caller of a library that must not be forked in the middle of a call."""

    def before_fork(self) -> None:
        """Wait for the call of another thread to end, a short while at most, and let none begin."""

    def after_fork_in_parent(self) -> None:
        """Let calls begin again."""


_holders: WeakSet[Forkable] = WeakSet()
_pausable: WeakSet[Pausable] = WeakSet()


def renew_after_fork(holder: Forkable) -> None:
    """
    Have :meth:`Forkable.after_fork` called in each process that is forked from now on.

    :param holder: an object that holds sockets, locks or threads; it may be garbage-collected as before
    """
    _holders.add(holder)


def pause_while_forking(caller: Pausable) -> None:
    """
    Have the calls of a library wait for each fork from now on.

    :param caller: the object that calls it; it may be garbage-collected as before
    """
    _pausable.add(caller)


def _before_fork() -> None:
    for caller in list(_pausable):
        caller.before_fork()


def _after_fork_in_parent() -> None:
    for caller in list(_pausable):
        caller.after_fork_in_parent()


def _after_fork() -> None:
    for holder in list(_holders):
        holder.after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork)
