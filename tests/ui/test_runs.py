"""Example DAGs, run from the trigger form on the newest Airflow: what a person sees, and what the account has then."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from connection_forms import FormOfAirflow3
from dag_pages import RUN_TIMEOUT, DagPages, StartedRun
from pictures import Pictures
from playwright.sync_api import Page, expect
from stack import AIRFLOWS, EXAMPLES, Stack

from airflow_provider_helpcrunch.client import HelpCrunchClient

pytestmark = [
    pytest.mark.ui,
    pytest.mark.slow,
    pytest.mark.parametrize("airflow", [AIRFLOWS["3.3.2"]], ids=["3.3.2"], indirect=True),
]

HEIRS = (1003, 1004)


def test_every_example_is_in_the_list(page: Page) -> None:
    page.goto("/dags?tags=helpcrunch")
    expect(page.get_by_role("heading", name=f"{len(EXAMPLES)} Dags")).to_be_visible()
    for example in EXAMPLES:
        expect(page.get_by_role("link", name=example, exact=True)).to_be_visible()
    expect(page.get_by_text("Import Error")).to_have_count(0)


@dataclass(frozen=True)
class Watch:
    """A run of the sensor, which polls once a minute while the other tests of this module run."""

    run: StartedRun
    chats: list[int]
    """The chats of nobody whose customers wait, oldest first."""

    left: int
    """The one of them that an agent left while the sensor waited."""


def is_waiting(chat: dict[str, Any]) -> bool:
    """Say whether the customer wrote last, and has waited for a minute."""
    asked, latest = (float(chat[name] or 0) for name in ("lastCustomerMessageAt", "lastMessageAt"))
    return int(asked) >= int(latest) and 0 < asked < time.time() - 60


@pytest.fixture(scope="module")
def watch(page: Page, airflow: Stack) -> Watch:
    nobodys = list(filter(is_waiting, airflow.open_chats(None)))
    agents = [agent["id"] for agent in airflow.truth("agents")]
    busiest = max(agents, key=lambda agent: len(airflow.open_chats(agent)))
    left = next(filter(is_waiting, airflow.open_chats(busiest)))
    chats = sorted((*nobodys, left), key=lambda chat: float(chat["createdAt"]))

    dag = DagPages(page, "example_helpcrunch_nobody_answers")
    dag.open_trigger_form()
    dag.param("Minutes without an answer").fill("1")
    dag.param("Chats").fill(str(len(chats)))
    run = StartedRun(dag, dag.start())
    expect(dag.row("waiting")).to_contain_text("Deferred", timeout=RUN_TIMEOUT)
    with HelpCrunchClient(airflow.key, base_url=airflow.api_url, rate_limit_store="memory://") as colleague:
        colleague.update_chat_assignee(left["id"], None)
    return Watch(run, [chat["id"] for chat in chats], left["id"])


def test_a_sensor_waits_while_one_chat_is_missing(watch: Watch, airflow: Stack) -> None:
    assert len(watch.chats) > 1
    assert watch.left in {chat["id"] for chat in airflow.open_chats(None)}


@dataclass(frozen=True)
class Run:
    """A run in which an agent has left."""

    dag: DagPages
    path: str
    leaver: int
    chats: list[dict[str, Any]]
    """The open chats that the agent had."""

    loads: dict[int, int]
    """How many each heir had."""

    writes: dict[int, int]
    """Who was given each chat, by its id, in the order of the requests."""


@pytest.fixture(scope="module")
def leaves(page: Page) -> DagPages:
    return DagPages(page, "example_helpcrunch_agent_leaves")


@pytest.fixture(scope="module")
def run(leaves: DagPages, airflow: Stack, pictures: Pictures) -> Run:
    leaver = airflow.busy_agent(*HEIRS)
    chats, before = airflow.open_chats(leaver), len(airflow.writes())
    loads = {heir: len(airflow.open_chats(heir)) for heir in HEIRS}
    leaves.open_trigger_form()
    leaves.param("Who leaves").fill(str(leaver))
    leaves.param("Who takes over").fill(", ".join(map(str, HEIRS)))
    leaves.choose("Who gets which chat", "Always the agent with the fewest open chats")
    # As the form is at first, and safe.
    expect(leaves.param("Dry run")).to_be_checked()
    pictures.take(leaves.page, "trigger", height=900, home=airflow.home)
    leaves.switch("Dry run", on=False)
    path = leaves.trigger("list_agents", "pick_targets", "reassign", "check")
    writes = {write["body"]["id"]: write["body"]["assignee"] for write in airflow.writes()[before:]}
    return Run(leaves, path, leaver, chats, loads, writes)


class TestAgentLeaves:
    def test_the_docs_are_text_that_a_person_reads(self, leaves: DagPages) -> None:
        leaves.open()
        leaves.page.get_by_role("button", name="Dag Docs").click()
        expect(
            leaves.dialog.get_by_role("heading", name="An agent leaves: their open chats go")
        ).to_be_visible()
        assert [mark for mark in ("**", "`", "](", "###") if mark in leaves.dialog.inner_text()] == []

    def test_a_run_needs_who_leaves(self, leaves: DagPages) -> None:
        leaves.open_trigger_form()
        assert leaves.suggestions("Who leaves") == []
        expect(leaves.dialog.get_by_text("This field is required")).to_be_visible()
        expect(leaves.dialog.get_by_role("button", name="Trigger", exact=True)).to_be_disabled()

    def test_the_account_is_as_the_form_said(self, run: Run, airflow: Stack) -> None:
        assert run.writes.keys() == {chat["id"] for chat in run.chats}
        assert airflow.open_chats(run.leaver) == []
        loads = dict(run.loads)
        for heir in run.writes.values():
            assert loads[heir] == min(loads.values())
            loads[heir] += 1

    def test_the_log_has_a_line_for_each_chat(self, run: Run, airflow: Stack, pictures: Pictures) -> None:
        page = run.dag.page
        names = {agent["id"]: f"{agent['name']} ({agent['id']})" for agent in airflow.truth("agents")}
        run.dag.open_log(run.path, "reassign")
        for chat, agent in run.writes.items():
            cells = (str(chat), "assignee", names[run.leaver], names[agent], "changed")
            expect(page.get_by_text(re.compile(" +".join(map(re.escape, cells))))).to_be_visible()
        pictures.take(page, "log", height=580, home=airflow.home)

    def test_xcom_has_the_result(self, run: Run) -> None:
        result = run.dag.result(run.path, "reassign")
        assert (result["changed"], result["failed"]) == (len(run.chats), 0)
        assert {chat["id"]: chat["after"] for chat in result["chats"]} == run.writes

    def test_the_graph_leads_from_the_dag_to_its_asset(self, run: Run) -> None:
        page = run.dag.page
        page.goto("/assets")
        page.get_by_role("link", name="reassignments").click()
        graph = page.get_by_role("application")
        expect(graph.get_by_role("link", name=run.dag.dag_id)).to_be_visible()
        expect(graph.get_by_role("link", name="reassignments")).to_be_visible()
        expect(page.get_by_role("heading", name="1 Asset Event")).to_be_visible()
        source = page.get_by_text("Source:").locator("..").get_by_role("link")
        expect(source).to_have_attribute("href", f"{run.path}/tasks/reassign")

    def test_the_next_form_suggests_who_may_leave(self, run: Run, airflow: Stack, pictures: Pictures) -> None:
        names = {agent["id"]: f"{agent['name']} ({agent['id']})" for agent in airflow.truth("agents")}
        leaver, others = HEIRS[0], names.keys() - {HEIRS[0]}
        chats, before = airflow.open_chats(leaver), len(airflow.writes())
        assert run.dag.open_trigger_form_that_suggests("Who leaves") == sorted(names.values())

        run.dag.pick("Who leaves", names[leaver])
        pictures.take(run.dag.page, "picker", height=560)
        run.dag.switch("Dry run", on=False)
        run.dag.trigger("list_agents", "pick_targets", "reassign", "check")

        writes = {write["body"]["id"]: write["body"]["assignee"] for write in airflow.writes()[before:]}
        assert writes.keys() == {chat["id"] for chat in chats}
        assert airflow.open_chats(leaver) == []
        shares = Counter(writes.values())
        assert shares.keys() <= others
        assert max(shares.values()) - min(shares[agent] for agent in others) <= 1


def test_a_file_lies_where_the_form_said(page: Page, airflow: Stack) -> None:
    folder = airflow.home / "elsewhere"
    dag = DagPages(page, "example_helpcrunch_agents_to_object_storage")
    dag.open_trigger_form()
    dag.param("Base path").fill(str(folder))
    path = dag.trigger("list_agents", "count_by_role")
    (file,) = folder.glob("agents/date=*/agents.jsonl")
    assert len(file.read_text(encoding="utf-8").splitlines()) == len(airflow.truth("agents"))
    dag.open_log(path, "count_by_role")
    expect(
        page.get_by_text(re.compile(rf"{len(airflow.truth('agents'))} agents .*in {file}"))
    ).to_be_visible()


def test_a_mapped_task_is_named_after_its_agent(page: Page, airflow: Stack) -> None:
    dag = DagPages(page, "example_helpcrunch_agents_to_xcom")
    dag.open_trigger_form()
    path = dag.trigger("list_agents", "report")
    page.goto(f"{path}/tasks/review_access/mapped")
    admins = [agent["name"] for agent in airflow.truth("agents") if agent["role"] in ("admin", "superAdmin")]
    assert admins
    for name in admins:
        expect(page.get_by_role("row").filter(has_text=name)).to_contain_text("Success")


def test_a_chat_is_a_click_away_once_the_connection_knows_the_inbox(page: Page, airflow: Stack) -> None:
    form = FormOfAirflow3(page)
    form.reopen("helpcrunch_default")
    form.show_extra()
    form.field("Inbox domain").fill("shop")
    form.save()
    chat = airflow.open_chats(airflow.truth("agents")[0]["id"])[0]["id"]
    dag = DagPages(page, "example_helpcrunch_one_chat")
    dag.open_trigger_form()
    dag.param("Chat").fill(str(chat))
    dag.param("Agent").fill("1006")
    path = dag.trigger("give", "note")
    assert chat in {each["id"] for each in airflow.open_chats(1006)}
    page.goto(f"{path}/tasks/give/details")
    link = page.get_by_role("link", name="Open chat in HelpCrunch")
    expect(link).to_have_attribute("href", f"https://shop.helpcrunch.com/inbox/chats/{chat}")


def test_the_alarm_names_the_chats_that_nobody_has(watch: Watch) -> None:
    watch.run.wait("waiting", "raise_alarm")
    wanted = len(watch.chats)
    before, after = (f"{found} of at least {wanted} chats match" for found in (wanted - 1, wanted))
    watch.run.log_says("waiting", before, after)
    assert watch.run.result("waiting") == watch.chats
    watch.run.log_says("raise_alarm", f"{wanted} customers wait, in chats {', '.join(map(str, watch.chats))}")
