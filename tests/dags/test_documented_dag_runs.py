"""Every DAG of the README and the documentation, run by Airflow on a local HelpCrunch as a new user has it."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import airflow
import pytest
from code_blocks import CLONE, blocks, dag_files

from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = pytest.mark.long

PROGRAM = Path(__file__).with_name("run_example_dags.py")
NOT_RUN = {
    "helpcrunch_nobody_answers": "waits until customers have waited: tests/sensors",
    "helpcrunch_greet": "has nothing to do without an event: tests/triggers",
}
"""DAGs that do not run by themselves, and what shows that they do."""

CONF = {"helpcrunch_message": {"parcel": "17"}}
"""What a DAG is triggered with."""

BUCKET = "s3://my_aws@lake/helpcrunch"
"""Where a documented DAG writes; a folder stands for it."""


@pytest.fixture(scope="module")
def account():
    # A chat comes every five minutes: at any time of the day, some are of yesterday.
    with Sandbox(agents=40, chats=400, rate_limit=None) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def before(account):
    """The chats before any DAG has run; some send messages."""
    return {chat["id"]: chat for chat in account.chats}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("user")


@pytest.fixture(scope="module")
def runs(account, before, home, run_python, tmp_path_factory):
    folder, modules = tmp_path_factory.mktemp("dags"), tmp_path_factory.mktemp("modules")
    ids = dag_files(folder, airflow.__version__)
    for path in folder.iterdir():
        path.write_text(path.read_text().replace(BUCKET, str(home / "lake")))
    (strategy,) = (
        block.text for block in blocks("python") if block.text.startswith("# my_company/strategies.py")
    )
    (modules / "my_company").mkdir()
    (modules / "my_company" / "strategies.py").write_text(strategy)
    (home / "crm").mkdir()
    known = [customer["userId"] for customer in account.customers if customer["userId"]][:3]
    for day in (datetime.now(UTC), datetime.now(UTC) + timedelta(days=1)):
        rows = "".join(f"{user},Shop\n" for user in known)
        (home / "crm" / f"customers-{day:%Y-%m-%d}.csv").write_text(f"userId,company\n{rows}")
    assert before
    result = tmp_path_factory.mktemp("result") / "runs.json"
    run_python(
        PROGRAM,
        result,
        *(f"{name}:{name}={json.dumps(CONF.get(name, {}))}" for name in ids if name not in NOT_RUN),
        HOME=str(home),
        AIRFLOW__CORE__DAGS_FOLDER=str(folder),
        AIRFLOW_CONN_HELPCRUNCH_DEFAULT=account.connection(requests_per_minute=6_000),
        AIRFLOW_VAR_HELPCRUNCH_HASH_SECRET="a long random text",
        SCHEDULED="yes",
        PYTHONPATH=f"{CLONE}:{modules}",
    )
    return json.loads(result.read_text())


def test_every_task_of_every_dag_succeeds(runs):
    assert {name: run["tasks"] for name, run in runs.items() if run["state"] != "success"} == {}
    assert len(runs) > 10


@pytest.mark.parametrize(("name", "time"), [("new", "createdAt"), ("active", "lastMessageAt")])
@pytest.mark.usefixtures("runs")
def test_new_and_active_chats_are_found(home, before, name, time):
    (path,) = (home / "chats").glob(f"{name}-*.jsonl.gz")
    records = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert records
    assert all(record[time] == before[record["id"]][time] for record in records)


@pytest.mark.usefixtures("runs")
def test_customers_are_written_back(account):
    written = [customer for customer in account.customers if customer["company"] == "Shop"]
    assert len(written) == 3
    assert all("crm" in [tag["name"] for tag in customer["tags"]] for customer in written)
