"""The processes of a cluster, whoever started them, and where they listen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import psutil


def residents(folders: Iterable[Path]) -> list[psutil.Process]:
    """Return the processes whose current folder is one of these or below, even when it has been removed."""
    found = []
    for process in psutil.process_iter():
        # One that ends meanwhile, or belongs to somebody else, is none of them.
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if any(Path(process.cwd()).is_relative_to(folder) for folder in folders):
                found.append(process)
    return found


def listeners(processes: Iterable[psutil.Process]) -> dict[int, set[str]]:
    """Return the TCP ports on which these processes listen, each with its addresses."""
    found: dict[int, set[str]] = {}
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    found.setdefault(connection.laddr.port, set()).add(connection.laddr.ip)
    return found
