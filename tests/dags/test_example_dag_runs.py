"""The example DAGs that list, and that of one chat, run by Airflow; judged by what HelpCrunch saw and what was left."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.storage import read_records

pytestmark = pytest.mark.long

TO_FILE = "example_helpcrunch_agents_to_object_storage"
TO_XCOM = "example_helpcrunch_agents_to_xcom"
LISTS = "example_helpcrunch_lists"
NOBODY_ANSWERS = "example_helpcrunch_nobody_answers"
ONE_CHAT = "example_helpcrunch_one_chat"
PROGRAM = Path(__file__).with_name("run_example_dags.py")


@pytest.fixture(scope="module")
def account():
    with Sandbox(agents=250, rate_limit=None) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="module")
def runs(account, output, run_python, tmp_path_factory):
    result = tmp_path_factory.mktemp("result") / "runs.json"
    run_python(
        PROGRAM,
        result,
        f"{TO_XCOM}:{TO_XCOM}={{}}",
        f"{TO_FILE}:{TO_FILE}={json.dumps({'base_path': str(output)})}",
        f"{LISTS}:{LISTS}={json.dumps({'base_path': str(output / 'lists')})}",
        f"{NOBODY_ANSWERS}:{NOBODY_ANSWERS}={json.dumps({'minutes': 1, 'at_least': 2})}",
        f"{ONE_CHAT}:{ONE_CHAT}={json.dumps({'chat_id': account.chats[0]['id'], 'assignee_id': 1007})}",
        AIRFLOW_CONN_HELPCRUNCH_DEFAULT=account.connection(requests_per_minute=6_000),
    )
    return json.loads(result.read_text())


def test_every_task_succeeds(runs):
    assert {run["state"] for run in runs.values()} == {"success"}
    assert {state for run in runs.values() for _, state, _ in run["tasks"]} == {"success"}


def test_each_admin_and_superviser_has_a_task_that_bears_their_name(runs, account):
    wanted = [agent["name"] for agent in account.agents if agent["role"] in ("admin", "superviser")]
    mapped = [name for task, _, name in runs[TO_XCOM]["tasks"] if task == "review_access"]
    assert sorted(mapped) == sorted(wanted)
    assert Counter(task for task, *_ in runs[TO_XCOM]["tasks"])["report"] == 1


def test_the_file_holds_the_account_and_nothing_lies_beside_it(runs, account, output):
    (path,) = (path for path in (output / "agents").rglob("*") if path.is_file())
    assert path.match("agents/date=????-??-??/agents.jsonl")
    assert [json.loads(line) for line in path.read_text().splitlines()] == account.agents
    assert [task for task, *_ in runs[TO_FILE]["tasks"]] == ["count_by_role", "list_agents"]


@pytest.mark.usefixtures("runs")
def test_helpcrunch_saw_three_pages_a_dag_and_refused_none(account):
    assert len(account.requests(path="/v1/agents")) == 6
    assert {request.status for request in account.journal} <= {200, 201}


@pytest.mark.usefixtures("runs")
class TestLists:
    @pytest.fixture
    def folder(self, output):
        (folder,) = (output / "lists").iterdir()
        assert folder.match("date=????-??-??")
        return folder

    @pytest.mark.parametrize(
        ("name", "resource"),
        [
            ("departments.jsonl", "departments"),
            ("applications.jsonl", "applications"),
            ("customers.csv.gz", "customers"),
        ],
    )
    def test_a_whole_resource(self, folder, account, name, resource):
        found = sorted(int(record["id"]) for record in read_records(str(folder / name)))
        assert found == sorted(record["id"] for record in account.truth(resource))

    def test_customers_have_only_the_columns_that_were_chosen(self, folder):
        (columns,) = {tuple(record) for record in read_records(str(folder / "customers.csv.gz"))}
        assert {"email", "phone"}.isdisjoint(columns)

    def test_customers_with_the_tag(self, folder, account):
        tagged = {each["id"] for each in account.customers if "vip" in [tag["name"] for tag in each["tags"]]}
        assert {each["id"] for each in read_records(str(folder / "customers-tagged.jsonl"))} == tagged
        assert tagged

    def test_messages_are_those_of_the_active_chats(self, folder, account):
        chats = {chat["id"] for chat in read_records(str(folder / "chats.jsonl.gz"))}
        messages = list(read_records(str(folder / "messages.jsonl.gz")))
        shown = [
            each
            for chat in chats
            for each in account.messages(chat)
            if each["type"] not in ("private", "tech")
        ]
        assert sorted(each["id"] for each in messages) == sorted(each["id"] for each in shown)
        assert messages


def test_one_chat_went_to_the_agent_with_one_request(runs, account):
    assert runs[ONE_CHAT]["state"] == "success"
    (write,) = (request for request in account.journal if request.method == "PUT")
    assert account.chats[0]["assignee"]["id"] == 1007
    assert write.path == "/v1/chats/assignee"


@pytest.mark.usefixtures("runs")
def test_the_agent_finds_one_note(account):
    notes = [
        each
        for each in account.messages(account.chats[0]["id"])
        if each["text"].startswith("This chat is yours")
    ]
    assert [note["type"] for note in notes] == ["private"]


def test_the_alarm_is_raised(runs):
    assert runs[NOBODY_ANSWERS]["state"] == "success"
    assert {task: state for task, state, _ in runs[NOBODY_ANSWERS]["tasks"]} == {
        "raise_alarm": "success",
        "waiting": "success",
    }
