"""The example DAGs about chats, run by Airflow against a local HelpCrunch; judged by what became of its chats."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

pytestmark = pytest.mark.long

AGENT_LEAVES = "example_helpcrunch_agent_leaves"
MORNING_SHIFT = "example_helpcrunch_morning_shift"
OWN_PLAN = "example_helpcrunch_own_plan"
UNASSIGNED = "example_helpcrunch_unassigned_chats"
PROGRAM = Path(__file__).with_name("run_example_dags.py")
LEAVER, SECOND_LEAVER, DEPARTMENT, MOST = 1001, 1002, 102, 5
NOBODY = 9999


@pytest.fixture(scope="module")
def account():
    with Sandbox(agents=40, chats=600, rate_limit=None, now="2023-11-20") as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def before(account):
    return {chat["id"]: chat for chat in account.chats}


@pytest.fixture(scope="module")
def refused(account):
    """One chat that HelpCrunch will not give to anybody."""
    chat = account.chats_of(SECOND_LEAVER)[3]["id"]
    account.add_fault(Fault("status", status=404, chat=chat, path="/v1/chats/assignee", times=0))
    return chat


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="module")
def runs(account, before, refused, output, run_python, tmp_path_factory):
    assert before
    result = tmp_path_factory.mktemp("result") / "runs.json"
    base = {"base_path": str(output)}
    given = {
        "dry": (AGENT_LEAVES, {"agent_id": LEAVER, **base}),
        "real": (AGENT_LEAVES, {"agent_id": LEAVER, "dry_run": False, **base}),
        "refused": (
            AGENT_LEAVES,
            {
                "agent_id": SECOND_LEAVER,
                "to_agents": "1003, 1004",
                "strategy": "least_loaded",
                "dry_run": False,
                **base,
            },
        ),
        "unknown": (AGENT_LEAVES, {"agent_id": NOBODY, **base}),
        "morning_dry": (MORNING_SHIFT, {}),
        "unassigned_dry": (UNASSIGNED, {}),
        "morning": (MORNING_SHIFT, {"dry_run": False, "max_chats": MOST, "roles": ["agent"]}),
        "unassigned": (UNASSIGNED, {"dry_run": False, "roles": ["superviser"]}),
        "plan_dry": (OWN_PLAN, {"department": DEPARTMENT, **base}),
        "plan": (OWN_PLAN, {"department": DEPARTMENT, "dry_run": False, **base}),
    }
    printed = run_python(
        PROGRAM,
        result,
        *(f"{name}:{dag_id}={json.dumps(conf)}" for name, (dag_id, conf) in given.items()),
        AIRFLOW_CONN_HELPCRUNCH_DEFAULT=account.connection(requests_per_minute=100_000),
    )
    return {**json.loads(result.read_text()), "printed": printed}


def during(account, runs, name):
    """Return the requests of one run."""
    return [entry for entry in account.journal if runs[name]["from"] <= entry.at <= runs[name]["to"]]


def writes(account, runs, name):
    return [entry for entry in during(account, runs, name) if entry.method == "PUT"]


def was_open(chat, agent):
    of = chat["assignee"] and chat["assignee"]["id"]
    return of == agent and chat["status"] not in ("closed", "empty")


@pytest.mark.parametrize(
    "name",
    [
        *("dry", "real", "unknown", "morning_dry", "morning", "unassigned_dry", "unassigned"),
        *("plan_dry", "plan"),
    ],
)
def test_every_task_succeeds(runs, name):
    assert runs[name]["state"] == "success"
    assert {state for _, state, _ in runs[name]["tasks"]} == {"success"}


@pytest.mark.parametrize("name", ["dry", "unknown", "morning_dry", "unassigned_dry", "plan_dry"])
def test_a_dry_run_changes_nothing(account, runs, name):
    assert during(account, runs, name)
    assert writes(account, runs, name) == []


def test_the_dry_run_says_what_would_be_and_how_to_do_it(account, runs, before):
    mine = [chat for chat in before.values() if was_open(chat, LEAVER)]
    assert f"{len(mine)} chats would be moved; report: " in runs["printed"]
    assert "To do it, trigger this again with Dry run off." in runs["printed"]
    assert f"{len(mine)} planned" in runs["printed"]
    assert f"{account.agents[0]['name']} <{account.agents[0]['email']}>" in runs["printed"]


def test_the_real_run_moves_each_open_chat_of_the_agent_once_to_each_other_agent_in_turn(
    account, runs, before
):
    moved = Counter(entry.chat for entry in writes(account, runs, "real"))
    assert moved == Counter(chat["id"] for chat in before.values() if was_open(chat, LEAVER))
    got = Counter(entry.body["assignee"] for entry in writes(account, runs, "real"))
    assert set(got) <= {agent["id"] for agent in account.agents} - {LEAVER}
    assert max(got.values()) - min(got.values()) <= 1
    assert account.chats_of(LEAVER) == []


def test_a_chat_that_cannot_be_moved_fails_the_last_task_alone_and_is_named(account, runs, refused):
    assert runs["refused"]["state"] == "failed"
    states = {task: state for task, state, _ in runs["refused"]["tasks"]}
    assert states.pop("check") == "failed"
    assert set(states.values()) == {"success"}
    assert [chat["id"] for chat in account.chats_of(SECOND_LEAVER)] == [refused]
    assert f"Not every chat of agent {SECOND_LEAVER} was moved." in runs["printed"]
    assert f"Open chats of agent {SECOND_LEAVER} now: {refused}" in runs["printed"]
    assert f"chat {refused}: refused, " in runs["printed"]


def test_only_those_who_were_named_get_chats(account, runs):
    applied = [entry for entry in writes(account, runs, "refused") if entry.applied]
    assert {entry.body["assignee"] for entry in applied} == {1003, 1004}


def test_an_agent_whom_the_account_does_not_have_is_told_apart(runs):
    assert f"The account has no agent {NOBODY} (any more)" in runs["printed"]
    assert "0 chats would be moved" in runs["printed"]


def test_the_report_names_every_chat_and_stays_beside_that_of_the_dry_run(runs, output, before):
    assert runs
    mine = {str(chat["id"]) for chat in before.values() if was_open(chat, LEAVER)}
    for name, outcome in (("dry-run-1.csv", "planned"), ("moved-1.csv", "changed")):
        (path,) = output.glob(f"reassignments/agent={LEAVER}/*/{name}")
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["id"] for row in rows} == mine
        assert {row["outcome"] for row in rows} == {outcome}


def test_the_morning_shift_gives_chats_of_nobody_to_the_roles_and_no_more_than_wanted(account, runs):
    done = writes(account, runs, "morning")
    agents = {agent["id"] for agent in account.agents if agent["role"] == "agent"}
    assert len(done) == MOST
    assert {entry.body["assignee"] for entry in done} <= agents
    assert len({entry.chat for entry in done}) == MOST
    members = {each["id"]: {agent["id"] for agent in each["agents"]} for each in account.departments}
    for entry in done:
        department = account.chat(entry.chat)["department"]
        assert department is None or entry.body["assignee"] in members[department["id"]]


def test_the_morning_shift_takes_only_what_belonged_to_nobody(account, runs, before):
    for entry in writes(account, runs, "morning"):
        assert before[entry.chat]["assignee"] is None
        assert before[entry.chat]["status"] in ("new", "opened", "pending", "onhold")


def test_the_own_plan_gives_those_who_waited_to_supervisers_and_changes_nothing_twice(account, runs):
    supervisers = {agent["id"] for agent in account.agents if agent["role"] == "superviser"}
    done = writes(account, runs, "plan")
    assert done
    for chat_id in {entry.chat for entry in done}:
        chat = account.chat(chat_id)
        assert chat["assignee"]["id"] in supervisers
        assert chat["status"] == "opened"
        assert chat["department"]["id"] == DEPARTMENT
    assert max(Counter((entry.chat, entry.path) for entry in done).values()) == 1


def test_chats_that_were_not_meant_are_as_they_were(account, runs, before):
    meant = {
        entry.chat
        for name in ("real", "refused", "morning", "unassigned", "plan")
        for entry in writes(account, runs, name)
    }
    assert {chat["id"]: chat for chat in account.chats if chat["id"] not in meant} == {
        number: chat for number, chat in before.items() if number not in meant
    }


def test_all_unassigned_chats_that_the_morning_shift_left_find_an_agent(account, runs, before):
    assert before
    supervisors = {agent["id"] for agent in account.agents if agent["role"] == "superviser"}
    done = writes(account, runs, "unassigned")
    assert done
    assert {entry.body["assignee"] for entry in done} <= supervisors
    assert account.chats_of(None) == []
