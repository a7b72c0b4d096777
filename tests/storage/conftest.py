"""Fixtures for the tests of storage: a table with a column of every type, records for it, and an S3 server."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import airflow_provider_helpcrunch
from airflow_provider_helpcrunch.schema import Column, Table

PERSON = (Column("id", "int64"), Column("name", "string"), Column("seen", "timestamp"))
TABLE = Table(
    "things",
    (
        Column("id", "int64"),
        Column("text", "string"),
        Column("read", "bool"),
        Column("createdAt", "timestamp"),
        Column("customer", "struct", PERSON),
        Column("agents", "list", PERSON),
    ),
)

WRITER = """
import sys, time
from airflow_provider_helpcrunch.schema import AGENTS
from airflow_provider_helpcrunch.storage import Target

def records():
    for number in range(30_000):
        yield {"id": number, "name": "x" * 100, "email": None, "role": None}
    print("written", flush=True)
    time.sleep(600)

Target.resolve(sys.argv[1], AGENTS).write(records())
"""


@pytest.fixture
def table() -> Table:
    return TABLE


@pytest.fixture
def records() -> list[dict[str, Any]]:
    person = {"id": 7, "name": "Zoë", "seen": "1714550400.5"}
    return [
        {
            "id": 1,
            "text": 'a "quoted" line,\r\nand another\n',
            "read": True,
            "createdAt": "1714550400.120",
            "customer": person,
            "agents": [person, {"id": 8, "name": "", "seen": None}],
        },
        {"id": 2, "text": "", "read": False, "createdAt": 0, "customer": None, "agents": []},
        {"id": 3, "text": None, "read": None, "createdAt": None, "customer": None, "agents": None},
    ]


@pytest.fixture
def failing(records: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Records whose source fails in the middle, after more than any buffer holds."""

    def stream() -> Iterator[dict[str, Any]]:
        for _ in range(15_000):
            yield from records
        msg = "the source failed"
        raise ConnectionResetError(msg)

    return stream()


@pytest.fixture
def warned() -> Iterator[list[str]]:
    """The warnings that the package logs."""
    messages: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    logger = logging.getLogger("airflow_provider_helpcrunch")
    handler = Handler(level=logging.WARNING)
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)


@pytest.fixture
def kill_in_the_middle(tmp_path: Path) -> Callable[[str], list[str]]:
    """Kill a process in the middle of writing to a path; returns what it left among the temporary files."""

    def kill(path: str) -> list[str]:
        temporary = tmp_path / "temporary files of the process"
        temporary.mkdir()
        root = Path(airflow_provider_helpcrunch.__file__).parents[1]
        environment = {**os.environ, "PYTHONPATH": str(root), "TMPDIR": str(temporary)}
        command = [sys.executable, "-c", WRITER, path]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            assert any(line == "written\n" for line in process.stdout)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        return os.listdir(temporary)

    return kill


def _answered(method: str, query: str) -> str | None:
    return None


class S3:
    """A bucket on a real HTTP server, whose uploads fail on request."""

    url = "s3://storage_tests@bucket"

    def __init__(self, endpoint: str) -> None:
        import boto3

        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
        self.client: Any = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
        self.client.create_bucket(Bucket="bucket")
        self.refused_part: str | None = None
        self.cut: Callable[[str, str], str | None] = _answered
        """Says of a request, by method and query, whether the connection ends "before" or "after" it is done."""

    def listing(self) -> dict[str, bytes]:
        """Read all objects of the bucket."""
        keys = [item["Key"] for item in self.client.list_objects_v2(Bucket="bucket").get("Contents", [])]
        return {key: self.client.get_object(Bucket="bucket", Key=key)["Body"].read() for key in keys}

    def unfinished(self) -> list[Any]:
        """List the multipart uploads that were begun and neither completed nor aborted."""
        uploads: list[Any] = self.client.list_multipart_uploads(Bucket="bucket").get("Uploads", [])
        return uploads


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    pytest.importorskip("airflow.providers.amazon", reason="the amazon provider is not installed")
    werkzeug_app = pytest.importorskip(
        "moto.moto_server.werkzeug_app", reason="moto's server is not installed"
    )
    from werkzeug.serving import make_server
    from werkzeug.wrappers import Response

    backend = werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)
    s3: S3 | None = None
    one_at_a_time = threading.Lock()

    def moto(environ: Any, start_response: Any) -> Any:
        # It fails where an upload is aborted while one of its parts arrives.
        with one_at_a_time:
            return backend(environ, start_response)

    def application(environ: Any, start_response: Any) -> Any:
        refused = s3.refused_part if s3 else None
        if refused and f"partNumber={refused}" in environ["QUERY_STRING"]:
            body = "<Error><Code>AccessDenied</Code><Message>refused</Message></Error>"
            return Response(body, status=403, mimetype="application/xml")(environ, start_response)
        cut = s3.cut(environ["REQUEST_METHOD"], environ["QUERY_STRING"]) if s3 else None
        if cut == "after":
            # The storage does as it is asked, and its answer is lost on the way.
            b"".join(moto(environ, lambda *_: None))
        if cut:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return []
        return moto(environ, start_response)

    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    once = {"retries": {"max_attempts": 0}}
    extra = {"endpoint_url": endpoint, "region_name": "us-east-1", "config_kwargs": once}
    connection = {"conn_type": "aws", "login": "x", "password": "x", "extra": extra}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_STORAGE_TESTS", json.dumps(connection))
        s3 = S3(endpoint)
        yield s3
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def s3(s3_server: S3) -> Iterator[S3]:
    # Another test of this process may have begun with an empty cloud: moto has one for all.
    s3_server.client.create_bucket(Bucket="bucket")
    yield s3_server
    s3_server.refused_part = None
    s3_server.cut = _answered
    for key in s3_server.listing():
        s3_server.client.delete_object(Bucket="bucket", Key=key)
