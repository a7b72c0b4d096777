"""Asset events and XComs that Airflow makes of a task's outlets and result."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow_process import run
from task_context import Instance

from airflow_provider_helpcrunch._airflow import Asset
from airflow_provider_helpcrunch.exceptions import HelpCrunchAuthError, HelpCrunchRefusedError
from airflow_provider_helpcrunch.operators.chats import (
    ReassignChatsOperator,
    UpdateChatsOperator,
)
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

StartAccount = Callable[..., Sandbox]

LEAVER = 1001
DAG_FILE = """
import json
from datetime import datetime

try:
    from airflow.sdk import DAG, Asset
except ImportError:
    from airflow import DAG
    from airflow.datasets import Dataset as Asset

from airflow_provider_helpcrunch.rate_limit import limiter
from airflow_provider_helpcrunch.operators.chats import ReassignChatsOperator, runner

limiter.open_rate_limiter.__kwdefaults__["period"] = 1.6
runner.BRIEF = 0.1
MOVES = Asset("x-helpcrunch://moves")

with DAG("reader", schedule=[MOVES], start_date=datetime(2026, 1, 1)) as reader:
    pass

with DAG("mover", schedule=None, start_date=datetime(2026, 1, 1), params={"dry": True, "most": 1}) as mover:
    ReassignChatsOperator(
        task_id="moved",
        from_agents=1001,
        to_agents=[1002],
        max_chats="{{ params.most }}",
        dry_run="{{ params.dry }}",
        allow_unknown_agents=True,
        deferrable=True,
        outlets=[MOVES],
    )
    ReassignChatsOperator.partial(
        task_id="mapped", to_agents=[1002], dry_run="{{ params.dry }}", max_chats=1, outlets=[MOVES]
    ).expand(from_agents=[1001, 1003])
"""
RUN = """
import json, sqlite3, sys
import airflow
from airflow.models import DagBag

AIRFLOW_2 = airflow.__version__.startswith("2.")
found = DagBag()
assert not found.import_errors, found.import_errors
if AIRFLOW_2:
    found.sync_to_db()
elif hasattr(found, "sync_to_db"):
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(DagBundleModel(name="dags-folder"))
    found.sync_to_db("dags-folder", None)
mover = found.dags["mover"]
counts = []
for conf in json.loads(sys.argv[1]):
    # The same object again, as in a process that runs a DAG several times.
    run = mover.test(run_conf=conf)
    assert "success" in str(run.state), run.state
    database = sqlite3.connect(sys.argv[2])
    names = [row[0] for row in database.execute("SELECT name FROM sqlite_master")]
    table = "asset_event" if "asset_event" in names else "dataset_event"
    counts.append(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    database.close()
print("COUNTS", json.dumps(counts))
"""


@pytest.mark.long
def test_a_dry_run_emits_no_event(tmp_path: Path) -> None:
    (tmp_path / "dags.py").write_text(DAG_FILE)
    confs = [{"dry": True, "most": 60}, {"dry": False, "most": 40}, {"dry": True, "most": 5}]
    with Sandbox(agents=4, chats=0, rate_limit=None) as server:
        server.insert_chats(60, assignee=LEAVER)
        output = run(
            RUN,
            tmp_path,
            json.dumps(confs),
            str(tmp_path / "airflow.db"),
            timeout=280,
            AIRFLOW__CORE__DAGS_FOLDER=str(tmp_path / "dags.py"),
            AIRFLOW_CONN_HELPCRUNCH_DEFAULT=server.connection(requests_per_minute=30),
        )
    counts = json.loads(next(line for line in output.splitlines() if line.startswith("COUNTS"))[7:])
    assert counts == [0, 3, 3], output[-5000:]
    assert len(server.writes()) == 41


class Events:
    """Stands for the events of the one outlet."""

    def __init__(self) -> None:
        self.event = SimpleNamespace(extra=None)

    def __getitem__(self, outlet: Any) -> Any:
        return self.event


REASSIGN = (ReassignChatsOperator, {"from_agents": LEAVER, "to_agents": 1002})
UPDATE = (
    UpdateChatsOperator,
    {"plan": [{"id": 4410001, "assignee": 1002}, {"id": 4410002, "assignee": 1002}]},
)


@pytest.mark.parametrize(("operator", "arguments"), [REASSIGN, UPDATE])
@pytest.mark.parametrize("status", [401, 404])
@pytest.mark.parametrize("pushes", [True, False])
@pytest.mark.parametrize("several", [True, False])
def test_the_result_of_a_failed_task_goes_where_that_of_another_goes(
    several: bool, pushes: bool, status: int, operator: Any, arguments: dict[str, Any], account: StartAccount
) -> None:
    """Both in the middle of the work and at its end."""
    server, instance = account("opened", "opened"), Instance()
    server.add_fault(Fault("status", status=status, chat=server.chats[1]["id"], times=0, method="PUT"))
    task = operator(task_id="task", do_xcom_push=pushes, multiple_outputs=several, **arguments)
    with pytest.raises((HelpCrunchAuthError, HelpCrunchRefusedError)):
        task.execute({"ti": instance})
    result = instance.pushed.pop("return_value", None)
    if not pushes:
        assert result is None
        assert instance.pushed == {}
    else:
        assert result["changed"] + result["refused"] == len(result["chats"]) > 0
        assert instance.pushed == (result if several else {})


@pytest.mark.parametrize("dry_run", [True, False, "True", "False"])
def test_a_dry_run_has_no_outlets_and_changes_nobody_elses(
    dry_run: Any, account: StartAccount, tmp_path: Path
) -> None:
    account("opened")
    asset, events = Asset("x-helpcrunch://moves"), Events()
    outlets = [asset]
    task = ReassignChatsOperator(
        task_id="task",
        from_agents=LEAVER,
        to_agents=1002,
        dry_run=dry_run,
        report_path=str(tmp_path / "report.csv"),
        outlets=outlets,
    )
    task.execute({"outlet_events": events})
    is_dry = str(dry_run) == "True"
    assert list(task.outlets) == ([] if is_dry else [asset])
    assert outlets == [asset]
    assert bool(events.event.extra) is not is_dry
