"""PostgreSQL and Redis while a script or a test needs them: on free ports of 127.0.0.1, with throw-away data."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from processes import CLONE, LOCALHOST, ProcessError, Processes, free_port
from redis import Redis
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import TimeoutError as NoAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "airflow"
UNSAFE_BUT_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""PostgreSQL settings that skip the protection against power cuts, which test data does not need."""


class RedisAddress(NamedTuple):
    """Where a Redis is, and what it wants to hear."""

    port: int
    password: str

    def url(self, database: int) -> str:
        """Return the URL of a database, with the password."""
        return f"redis://:{self.password}@{LOCALHOST}:{self.port}/{database}"


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


def can_start_postgresql() -> bool:
    """Say whether PostgreSQL is there, for root with its user, and Airflow's drivers for it are in this environment."""
    needed = (*map(_find, ("initdb", "postgres")), *map(find_spec, ("asyncpg", "psycopg2")))
    return all(needed) and (not _is_root() or _has_user("postgres"))


def start_postgresql(processes: Processes, data: Path) -> str:
    """
    Start PostgreSQL.

    :param data: a folder of :func:`throw_away_data`
    :return: the URL of an empty database, with driver, user and password
    :raises ProcessError: it is not installed, or does not start
    """
    # PostgreSQL refuses to run as root.
    user = _own_user("postgres")
    folder, password, port = _own_folder(data / "postgresql", user), secrets.token_urlsafe(16), free_port()
    pwfile = _secret_file(data / "postgresql.password", password, user)
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
    # Some pages of Airflow 3.3.2 are an error with psycopg 3: "operator does not exist: json #> character varying".
    return f"postgresql+psycopg2://{USER}:{password}@{LOCALHOST}:{port}/postgres"


def start_redis(processes: Processes, data: Path) -> RedisAddress:
    """
    Start Redis with a password. It writes nothing to disk unless it is asked to.

    :param data: a folder of :func:`throw_away_data`
    :return: where it is
    :raises ProcessError: it is not installed, or does not start
    """
    user, address = _own_user("redis"), RedisAddress(free_port(), secrets.token_urlsafe(16))
    settings = (
        f"bind {LOCALHOST}",
        f"port {address.port}",
        f"requirepass {address.password}",
        'save ""',
        "rdbcompression no",
        f'dir "{_own_folder(data / "redis", user)}"',
    )
    # Not on the command line, which every user of the machine can read.
    file = _secret_file(data / "redis.conf", "\n".join(settings), user)
    processes.launch("redis", _program("redis-server"), str(file), user=user)
    with Redis.from_url(address.url(0), socket_timeout=10) as redis:
        processes.wait_until(lambda: _responds(redis), "redis", pause=0.1)
    return address


def _responds(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except (NoConnection, NoAnswer):
        return False


def _own_folder(folder: Path, user: str | None) -> Path:
    folder.mkdir(0o700)
    if user:
        shutil.chown(folder, user, user)
    return folder


def _secret_file(file: Path, text: str, user: str | None) -> Path:
    file.touch(0o600)
    file.write_text(text)
    if user:
        shutil.chown(file, user, user)
    return file


def _find(name: str) -> str | None:
    """Return the path of a program; Debian keeps those of PostgreSQL apart, by version."""
    places = [os.environ.get("PATH", os.defpath), *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    return shutil.which(name, path=os.pathsep.join(places))


def _program(name: str) -> str:
    """Return the path of a program that must be there."""
    if found := _find(name):
        return found
    msg = f"There is no program {name}; scripts/servers.sh installs it or says how."
    raise ProcessError(msg)


def _is_root() -> bool:
    return os.geteuid() == 0


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _own_user(name: str) -> str | None:
    """Return the user that Debian made for a server, where the caller is root."""
    return name if _is_root() else None
