"""PostgreSQL and Redis for the time of a test: on free ports of 127.0.0.1, with data that is thrown away."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_ui import LOCALHOST, free_port
from processes import CLONE, ProcessError, Processes

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "airflow"
UNSAFE_BUT_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""What a database needs only to survive a power cut."""


@contextlib.contextmanager
def throw_away_data() -> Iterator[Path]:
    """Yield a new folder that other users may pass through, gone afterwards."""
    # Below the clone, unless that lies where the users of the servers cannot go, such as a home folder of root.
    parent = CLONE / ".tmp"
    parent.mkdir(exist_ok=True)
    passable = all(folder.stat().st_mode & 0o001 for folder in (parent, *parent.parents))
    folder = Path(tempfile.mkdtemp(prefix="servers-", dir=parent if passable or not _is_root() else None))
    try:
        folder.chmod(0o711)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start_postgresql(processes: Processes, data: Path) -> str:
    """
    Start PostgreSQL.

    :param data: a folder of :func:`throw_away_data`
    :return: the URL of an empty database, with user and password
    :raises ProcessError: it is not installed, or does not start
    """
    # Who is root may not run it.
    user = _own_user("postgres")
    folder, password, port = data / "postgresql", secrets.token_urlsafe(16), free_port()
    pwfile = data / "password"
    pwfile.touch(0o600)
    pwfile.write_text(password)
    folder.mkdir(0o700)
    if user:
        shutil.chown(pwfile, user, user)
        shutil.chown(folder, user, user)
    options = (
        "--auth=scram-sha-256",
        f"--pwfile={pwfile}",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
    )
    processes.launch(name := "initdb", _program("initdb"), "-D", str(folder), "-U", USER, *options, user=user)
    if processes.finish(name) != 0:
        raise processes.failure(name)
    settings = (f"listen_addresses={LOCALHOST}", f"port={port}", "unix_socket_directories=", *UNSAFE_BUT_FAST)
    arguments = [part for setting in (*settings, "max_connections=200") for part in ("-c", setting)]
    # On SIGINT it does not wait for its clients to leave.
    command = (_program("postgres"), "-D", str(folder), *arguments)
    processes.launch("postgresql", *command, user=user, stop=signal.SIGINT)
    log = processes.log("postgresql")
    processes.wait_until(lambda: "ready to accept connections" in log.read_text(), "postgresql", pause=0.1)
    return f"postgresql://{USER}:{password}@{LOCALHOST}:{port}/postgres"


def start_redis(processes: Processes, data: Path) -> int:
    """
    Start Redis, which writes nothing to disk.

    :param data: a folder of :func:`throw_away_data`
    :return: its port
    :raises ProcessError: it is not installed, or does not start
    """
    user, port, folder = _own_user("redis"), free_port(), data / "redis"
    folder.mkdir(0o700)
    if user:
        shutil.chown(folder, user, user)
    options = (
        "--bind",
        LOCALHOST,
        "--port",
        str(port),
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(folder),
    )
    processes.launch("redis", _program("redis-server"), *options, user=user)
    processes.wait_until(lambda: _redis_answers(port), "redis", pause=0.1)
    return port


def _redis_answers(port: int) -> bool:
    try:
        with socket.create_connection((LOCALHOST, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def _program(name: str) -> str:
    """Return the path of a program; Debian keeps those of PostgreSQL apart, by version."""
    places = [os.environ.get("PATH", os.defpath), *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    if found := shutil.which(name, path=os.pathsep.join(places)):
        return found
    msg = f"There is no program {name}; scripts/servers.sh installs it or says how."
    raise ProcessError(msg)


def _is_root() -> bool:
    return os.geteuid() == 0


def _own_user(name: str) -> str | None:
    """Return the user that Debian made for a server, where the caller is root."""
    return name if _is_root() else None
