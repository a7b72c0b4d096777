"""One run of the benchmark: its processes, its scratch folder, and the clients it can run."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from harness import environments
from harness.output import ids_of
from harness.paths import BENCHMARKS, WORK
from harness.processes import Processes, environment
from harness.sandbox import KEY, Sandbox, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from harness.output import Ids

T = TypeVar("T")
PATIENCE = 300.0
"""Seconds after which a client that has not ended is ended."""


class Client(NamedTuple):
    """
    Something that lists agents.

    :param name: in the tables
    :param script: below ``clients/``
    :param environment: where it runs
    """

    name: str
    script: str
    environment: environments.Environment


OURS = Client("ListAgentsOperator", "list_agents_operator.py", environments.OWN)
PEERS = (
    Client("requests loop", "requests_loop.py", environments.REQUESTS),
    Client("HttpOperator", "http_operator.py", environments.HTTP_OPERATOR),
    Client("dlt rest_api", "dlt_rest_api.py", environments.DLT),
)
CLIENTS = (OURS, *PEERS)


@dataclass(frozen=True, slots=True)
class Run:
    """
    Result of one run of a client.

    :param seconds: from the first request's arrival to the closed output
    :param cpu: seconds of processor time
    :param growth_mb: most memory in RAM, less what it was when all was imported
    :param imported_mb: most memory in RAM when all was imported
    :param error: why it failed; ``None`` when it did not
    :param killed: it had to be ended
    :param ids: what is in its output
    :param requests: the sandbox's journal
    """

    seconds: float
    cpu: float
    growth_mb: float
    imported_mb: float
    error: str | None
    killed: bool
    ids: Ids
    requests: list[dict[str, Any]]

    def answered(self, status: int) -> int:
        """Return how many requests got this status."""
        return sum(request["status"] == status for request in self.requests)


class Bench:
    """A run of the benchmark; leaving it ends all its processes and empties its scratch folder."""

    def __init__(self) -> None:
        self.processes = Processes()
        WORK.mkdir(parents=True, exist_ok=True)
        self._scratch = Path(tempfile.mkdtemp(prefix="run-", dir=WORK))
        self._ready: set[environments.Environment] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def say(self, text: str) -> None:
        """Tell a person what is going on."""
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def folder(self, parent: Path | None = None) -> Iterator[Path]:
        """Make an empty folder for the time of the block, in the scratch folder unless told otherwise."""
        folder = Path(tempfile.mkdtemp(dir=parent or self._scratch))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def sandbox(self, **switches: Any) -> Iterator[Sandbox]:
        """Serve a sandbox for the time of the block."""
        with self.folder() as folder, serving(self.processes, folder, **switches) as sandbox:
            yield sandbox

    def prepare(self, clients: Iterable[Client]) -> None:
        """Install what the clients need, and let each list one agent, so that later runs find compiled modules."""
        wanted = [client for client in clients if client.environment not in self._ready]
        if wanted:
            self.say(f"installing and trying {', '.join(client.name for client in wanted)}")
        for client in wanted:
            environments.install(client.environment)
            with self.sandbox(agents=1) as sandbox:
                run = self.run(client, sandbox)
            if run.error or len(run.ids) != 1:
                msg = f"{client.name} cannot list a single agent: {run.error}"
                raise RuntimeError(msg)
            self._ready.add(client.environment)

    def run(self, client: Client, sandbox: Sandbox | str, *, patience: float = PATIENCE, **extra: str) -> Run:
        """
        Run a client in a fresh process, with a fresh folder for its temporary files.

        :param client: the client
        :param sandbox: what it lists; its journal is read before and afterwards. Or the address of nothing, for a
            client that has its own server inside
        :param patience: seconds after which it is ended
        :param extra: more environment variables
        """
        url, journal = (sandbox, list) if isinstance(sandbox, str) else (sandbox.url, sandbox.journal)
        earlier = len(journal())
        with self.folder() as folder:
            output, report = folder / "agents.jsonl", folder / "report.json"
            killed = self.script(
                client.environment,
                [f"clients/{client.script}", url, KEY, output, report, folder],
                folder,
                patience=patience,
                **extra,
            )
            requests = journal()[earlier:]
            return _result(_read(report, folder / "output.txt", killed), killed, output, requests)

    def script(
        self,
        where: environments.Environment,
        command: list[str | Path],
        folder: Path,
        *,
        patience: float = PATIENCE,
        **extra: str,
    ) -> bool:
        """Run a script of this folder, print to ``output.txt``, and return whether it had to be ended."""
        script, *arguments = command
        env = environment(folder, PYTHONPYCACHEPREFIX=str(WORK / "pycache"), **extra)
        process = self.processes.start(
            [where.python, BENCHMARKS / script, *arguments], env, folder / "output.txt"
        )
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            return True
        finally:
            self.processes.end(process)
        return False

    def together(self, jobs: Iterable[Callable[[], T]], at_once: int) -> list[T]:
        """Run jobs in threads, started in order, and return their results in order."""
        with ThreadPoolExecutor(at_once) as pool:
            futures = [pool.submit(job) for job in jobs]
            try:
                return [future.result() for future in futures]
            except BaseException:
                # The threads wait for processes; without these they end at once.
                self.processes.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _read(report: Path, output: Path, killed: bool) -> dict[str, Any]:
    if report.exists():
        content: dict[str, Any] = json.loads(report.read_text())
        return content
    words = output.read_text(errors="replace").strip()
    error = "still running" if killed else f"no report: {words[-300:]}"
    return {"ended": time.monotonic(), "imported_mb": 0.0, "peak_mb": 0.0, "error": error}


def _result(report: dict[str, Any], killed: bool, output: Path, requests: list[dict[str, Any]]) -> Run:
    started = min((request["at"] for request in requests), default=report["ended"])
    return Run(
        seconds=report["ended"] - started,
        cpu=report.get("cpu", 0.0),
        growth_mb=report["peak_mb"] - report["imported_mb"],
        imported_mb=report["imported_mb"],
        error=report["error"],
        killed=killed,
        ids=ids_of(output),
        requests=requests,
    )
