"""An upsert whose process is killed by the system, and that another one finishes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from upserting import Work

from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

UPSERT = """
import sys
sys.path.insert(0, sys.argv[1])
from upserting import Work
from airflow_provider_helpcrunch.client import HelpCrunchClient
client = HelpCrunchClient(sys.argv[4], base_url=sys.argv[3], requests_per_minute=6000, rate_limit_store="memory://")
Work(sys.argv[2]).run(client)
"""


@pytest.mark.parametrize("writes", [1, 30])
def test_sigkill_writes_no_row_twice(writes: int, account: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "customers.jsonl"
    path.write_text("".join(f"{json.dumps({'userId': f'new-{number}'})}\n" for number in range(60)))
    with account:
        # So that it cannot end before it is killed.
        account.add_fault(Fault("hang", nth=writes, times=0, method="POST", path="/v1/customers"))
        here, tests = Path(__file__).parent, Path(__file__).parents[1]
        command = [sys.executable, "-c", UPSERT, str(here), str(path), account.url, account.key]
        process = subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), *sys.path])}
        )
        while sum(each.applied for each in account.journal) < writes and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    account.clear_faults()
    work = Work(str(path))
    work.run(account)
    made = Counter(each.body["userId"] for each in account.journal if each.applied)
    assert (set(made.values()), len(made)) == ({1}, 60)
    assert work.progress.counts()["unchanged"] >= writes
