"""An approval on the newest Airflow: a person reads the table, says yes, and exactly that is done."""

from __future__ import annotations

import re
from typing import Any

import pytest
from dag_pages import DagPages
from pictures import Pictures
from playwright.sync_api import Page, expect
from stack import AIRFLOWS, Stack

from airflow_provider_helpcrunch.client import HelpCrunchClient

pytestmark = [
    pytest.mark.ui,
    pytest.mark.slow,
    pytest.mark.parametrize("airflow", [AIRFLOWS["3.3.2"]], ids=["3.3.2"], indirect=True),
]

TO, COLLEAGUE = (1008, 1010), 1011


@pytest.fixture
def dag(page: Page) -> DagPages:
    return DagPages(page, "example_helpcrunch_approval")


@pytest.fixture
def leaver(airflow: Stack) -> int:
    return airflow.busy_agent(*TO, COLLEAGUE)


def ask(dag: DagPages, airflow: Stack, leaver: int) -> tuple[str, int]:
    """Run until a person is asked; return the address of the run, and how many chats it is about."""
    dag.open_trigger_form()
    dag.param("Whose chats").fill(str(leaver))
    dag.param("Who takes over").fill(", ".join(map(str, TO)))
    path = dag.trigger("plan", "describe")
    airflow.wait_until_paused(path.rpartition("/")[2], "approve")
    dag.page.goto("/required_actions")
    question = (
        dag.page.get_by_role("row").filter(has_text=path.split("/")[-1]).filter(has_text="Approval Required")
    )
    question.get_by_role("link", name=re.compile(r"^Reassign HelpCrunch chats: \d+\?$")).click()
    expect(dag.page.get_by_role("button", name="Approve")).to_be_enabled()
    said = dag.page.get_by_text(re.compile(r"^\d+ chats?$")).inner_text()
    return path, int(said.split()[0])


def shown(page: Page, chats: list[dict[str, Any]]) -> dict[int, str]:
    """Return who is to get each chat, as the page says it; fail where the rest of its row is not so."""
    to = {}
    for chat in chats:
        row = page.get_by_role("row").filter(has=page.get_by_role("cell", name=str(chat["id"]), exact=True))
        department = (chat["department"] or {}).get("name", "none")
        cells = row.get_by_role("cell").all_inner_texts()
        assert cells[1:4] == [chat["status"], department, chat["assignee"]["name"]]
        to[chat["id"]] = cells[4]
    return to


def press(page: Page, answer: str) -> None:
    """Answer the question, and wait until Airflow has the answer: a page that is left cuts its requests off."""
    with page.expect_response(re.compile("/hitlDetails$")) as told:
        page.get_by_role("button", name=answer).click()
    assert (told.value.request.method, told.value.status) == ("PATCH", 200)


def test_a_no_changes_nothing(dag: DagPages, leaver: int, airflow: Stack, pictures: Pictures) -> None:
    before = airflow.writes()
    path, planned = ask(dag, airflow, leaver)
    assert planned == len(airflow.open_chats(leaver))
    pictures.take(dag.page, "approval", height=900, home=airflow.home)
    press(dag.page, "Reject")
    dag.page.goto(path)
    dag.wait("apply", "summary", until="Skipped")
    assert airflow.writes() == before


def test_a_yes_does_what_was_shown_and_leaves_alone_what_a_person_took(
    dag: DagPages, leaver: int, airflow: Stack
) -> None:
    page, chats = dag.page, airflow.open_chats(leaver)
    names = {agent["id"]: agent["name"] for agent in airflow.truth("agents")}
    path, planned = ask(dag, airflow, leaver)
    to = shown(page, chats)
    assert len(to) == planned
    assert set(to.values()) == {names[agent] for agent in TO}

    taken, *others = to
    with HelpCrunchClient(airflow.key, base_url=airflow.api_url, rate_limit_store="memory://") as colleague:
        colleague.update_chat_assignee(taken, COLLEAGUE)
    before = len(airflow.writes())
    press(page, "Approve")
    page.goto(path)
    dag.wait("approve", "apply", "summary")

    wrote = {write["body"]["id"]: names[write["body"]["assignee"]] for write in airflow.writes()[before:]}
    assert wrote == {chat: to[chat] for chat in others}
    dag.open_log(path, "summary")
    reason = f"chat {taken}: it is assigned to {names[COLLEAGUE]} ({COLLEAGUE}) now"
    expect(page.get_by_text(reason)).to_be_visible()
