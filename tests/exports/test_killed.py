"""An export whose process is killed by the system, and goes on in another one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from exporting import Exports, apply, truth

from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

EXPORT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from exporting import Exports
from airflow_provider_helpcrunch.client import HelpCrunchClient
client = HelpCrunchClient(sys.argv[4], base_url=sys.argv[3], requests_per_minute=6000, rate_limit_store="memory://")
Exports(Path(sys.argv[2])).engine("day 1").run(client)
"""


@pytest.mark.parametrize("requests", [1, 4, 9])
def test_sigkill_costs_one_page(requests: int, exports: Exports, account: Sandbox) -> None:
    state = exports.snapshot(exports.run(account, "day 0"))
    account.update_chat(account.chats[0]["id"], status="pending")
    needed = len(account.journal)
    with account:
        account.add_fault(Fault("hang", nth=requests, times=0))  # so that it cannot end before it is killed
        here = str(Path(__file__).parent)
        command = [sys.executable, "-c", EXPORT, here, str(exports.base), account.url, account.key]
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        while len(account.journal) < needed + requests and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    account.clear_faults()
    manifest = exports.run(account, "day 1")
    assert len(account.journal) - needed <= needed + 1
    assert exports.snapshot(manifest) == truth(account)
    apply(state, exports.changes(manifest))
    assert state == truth(account)
    assert not [name for name in exports.files() if name.startswith("staging")]
