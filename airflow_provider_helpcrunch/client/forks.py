"""
What a forked process must not share with its parent: sockets, locks and threads.

Celery's prefork pool, ``multiprocessing`` and a hook at module level fork a process that has used a client before. Two
processes on one socket read each other's responses, a lock that another thread held stays locked for ever, and of the
threads only the one that forked is alive. So whatever holds one of these starts afresh in the child.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """Holds something that a forked process must not share."""

    def after_fork(self) -> None:
        """Replace sockets, locks and threads; called in the child, where no other thread runs yet."""


_holders: WeakSet[Forkable] = WeakSet()


def renew_after_fork(holder: Forkable) -> None:
    """
    Have :meth:`Forkable.after_fork` called in each process that is forked from now on.

    :param holder: who holds sockets, locks or threads; it may be garbage-collected as before
    """
    _holders.add(holder)


def _after_fork() -> None:
    for holder in list(_holders):
        holder.after_fork()


os.register_at_fork(after_in_child=_after_fork)
