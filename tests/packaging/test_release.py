"""The wheel alone and with each extra, beside each Airflow and on each Python: the matrix of ``make release-check``."""

from __future__ import annotations

import configparser
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from installations import (
    CLONE,
    KEY,
    LINES,
    PACKAGE,
    PYTHONS,
    ExcludedError,
    airflow_of,
    check_dags,
    check_imports,
    find_python,
    install,
    own_env,
    run,
    serving,
)
from redis_server import RedisServer

pytestmark = pytest.mark.release

NEWEST_PYTHON = {"2.11": 12, "3.0": 12, "3.1": 13}
"""The newest Python 3 that an Airflow runs on, where it is older than the newest here."""


def extras() -> list[str]:
    """Return the extras for users; the empty one stands for the wheel alone."""
    setup = configparser.ConfigParser()
    setup.read(CLONE / "setup.cfg")
    return ["", *(extra for extra in setup["options.extras_require"] if extra != "dev")]


FILESYSTEM = """
import fsspec
try:
    from airflow.sdk.io.fs import has_fs
except ImportError:
    from airflow.io import has_fs
assert has_fs("SCHEME"), "Airflow knows no SCHEME://"
print(fsspec.get_filesystem_class("SCHEME").__module__.partition(".")[0])
"""

USES = {
    "duckdb": (
        f"from {PACKAGE}.reports import connect\n"
        "print(connect().execute(\"SELECT TIMESTAMPTZ '2026-01-31 12:00:00+00'\").fetchone()[0].isoformat())",
        "2026-01-31T12:00:00+00:00",
    ),
    "sandbox": (
        f"from {PACKAGE}.client import HelpCrunchClient\n"
        f"from {PACKAGE}.sandbox import Sandbox\n"
        "with Sandbox(agents=250) as sandbox, HelpCrunchClient(sandbox.key, base_url=sandbox.url) as client:\n"
        "    print(len(client.list_agents()))",
        "250",
    ),
    "redis": (
        "import airflow.providers.redis.hooks.redis\n"
        f"from {PACKAGE}.client import HelpCrunchClient\n"
        f"with HelpCrunchClient('{KEY}', base_url='SANDBOX', rate_limit_store='REDIS') as client:\n"
        "    print(len(client.list_agents()))",
        "250",
    ),
    "s3": (FILESYSTEM.replace("SCHEME", "s3"), "s3fs"),
    "gcs": (FILESYSTEM.replace("SCHEME", "gs"), "gcsfs"),
    "azure": (FILESYSTEM.replace("SCHEME", "abfs"), "adlfs"),
}
"""What is run with an extra beside the two DAGs, and what it prints last. With ``parquet``, the DAG writes Parquet."""


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[str]:
    """Serve a HelpCrunch from this environment, for the wheel alone cannot."""
    with serving(sys.executable, tmp_path) as url:
        yield url


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Return where the environment of an Airflow and a Python is: one for all extras, so byte code is made once."""
    return {
        (line, python): tmp_path_factory.mktemp(f"{line}-{python}") for line in LINES for python in PYTHONS
    }


@pytest.fixture(autouse=True)
def cell(line: str, version: str, extra: str, record_property: Callable[[str, object], None]) -> None:
    """Note the place in the matrix, even of a test whose other fixtures fail."""
    record_property("cell", [airflow_of(line), version, extra])


@pytest.mark.parametrize("extra", extras(), ids=lambda extra: extra or "alone")
@pytest.mark.parametrize(
    ("line", "version"),
    # What shares an environment stays in one process, when pytest-xdist has several.
    [
        pytest.param(line, version, marks=pytest.mark.xdist_group(f"{line}-{version}"))
        for line in LINES
        for version in PYTHONS
    ],
)
def test_an_installation(
    line: str,
    version: str,
    extra: str,
    wheel: Path,
    sandbox: str,
    places: dict[tuple[str, str], Path],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    place = places[line, version]
    try:
        python = install(place / "venv", line, interpreter_for(line, version), wheel, extra)
    except ExcludedError as why:
        pytest.skip(str(why))
    env = own_env(place / "venv", tmp_path) | {"PYTHONPYCACHEPREFIX": str(place / "bytecode")}
    check_imports(python, env, extra)
    migrated = place / "airflow.db"
    if not migrated.exists():
        run("airflow", "db", "migrate", env=env)
        shutil.copy(tmp_path / "airflow.db", migrated)
    shutil.copy(migrated, tmp_path / "airflow.db")
    check_dags(python, env, sandbox, "agents.parquet" if extra == "parquet" else "agents.jsonl")
    if extra in USES:
        code, expected = USES[extra]
        if extra == "redis":
            server: RedisServer = request.getfixturevalue("redis_server")()
            code = code.replace("SANDBOX", sandbox).replace("REDIS", server.url)
        assert run(python, "-c", code, env=env, cwd=tmp_path).splitlines()[-1] == expected
    shutil.rmtree(place / "venv")


def interpreter_for(line: str, version: str) -> str:
    """Return the interpreter, or skip with the reason why there is none."""
    minor = airflow_of(line).rpartition(".")[0]
    if int(version.partition(".")[2]) > NEWEST_PYTHON.get(minor, 99):
        pytest.skip(f"Airflow {minor} does not run on Python {version}")
    interpreter = find_python(version)
    if interpreter is None:
        pytest.skip(f"PYTHON {version} IS NOT ON THIS MACHINE")
    return interpreter
