"""A dry run writes nothing, and says what a real run on a quiet account then does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.storage import read_records

StartAccount = Callable[..., Sandbox]
Reassign = Callable[..., dict[str, Any]]

LEAVER = 1001
SMALL = ["opened", "closed", "new", "empty", "pending", "onhold", "no communication"]
ACCOUNTS: dict[str, list[str]] = {
    "exactly one page": ["opened"] * 100,
    "several pages": ["opened"] * 210,
    "closed and unwanted between": SMALL * 30,
    "unwanted in front": ["onhold"] * 110 + ["opened"] * 105,
}


def by_what_was_given_out(chat: Mapping[str, Any], loads: Mapping[int, int]) -> int:
    """Depend on the chat, on the loads and on their order."""
    return list(loads)[(chat["id"] + sum(loads.values()) + max(loads.values())) % len(loads)]


CHOOSES = f"{__name__}.by_what_was_given_out"


def twice(server: Sandbox, reassign: Reassign, **arguments: Any) -> list[tuple[int, int]]:
    """Run dry, then for good; assert that both agree with what the server saw, and return it."""
    before, sent = server.chats, len(server.journal)
    dry = reassign(dry_run=True, **arguments)
    assert {request.method for request in server.journal[sent:]} <= {"GET", "POST"}
    assert {request.path for request in server.journal[sent:] if request.method == "POST"} <= {
        "/v1/chats/search"
    }
    assert server.writes() == []
    assert server.chats == before
    real = reassign(**arguments)
    planned = [{**chat, "outcome": "changed"} for chat in dry["chats"]]
    assert planned == real["chats"]
    assert (dry["planned"], dry["changed"], dry["skipped"]) == (real["changed"], 0, real["skipped"])
    wrote = [(write.body["id"], write.body["assignee"]) for write in server.writes()]
    assert wrote == [(chat["id"], chat["after"]) for chat in dry["chats"]]
    return wrote


@pytest.mark.parametrize("strategy", ["round_robin", "least_loaded", CHOOSES])
@pytest.mark.parametrize("source", [LEAVER, None])
@pytest.mark.parametrize("kind", ACCOUNTS)
def test_predicts_every_chat(
    kind: str, source: int | None, strategy: str, account: StartAccount, reassign: Reassign, importable: None
) -> None:
    server, statuses = account(), ACCOUNTS[kind]
    server.insert_chats(7, assignee=1003)
    for status in statuses:
        server.insert_chats(1, assignee=source, status=status)
    wrote = twice(
        server, reassign, from_agents=source, strategy=strategy, statuses=["opened", "new", "pending"]
    )
    assert len(wrote) == sum(statuses.count(word) for word in ("opened", "new", "pending"))


@pytest.mark.parametrize("most", [1, 100, 101, 1000])
@pytest.mark.parametrize("source", [LEAVER, None])
def test_predicts_the_first_chats(
    source: int | None, most: int, account: StartAccount, reassign: Reassign
) -> None:
    server = account()
    for status in ["closed", "opened", "pending"] * 105:
        server.insert_chats(1, assignee=source, status=status)
    wrote = twice(server, reassign, from_agents=source, max_chats=most, strategy="least_loaded")
    assert [chat for chat, _ in wrote] == sorted(chat for chat, _ in wrote)
    assert len(wrote) == min(most, 210)


def test_predicts_several_sources_and_a_department(account: StartAccount, reassign: Reassign) -> None:
    server = account()
    for department in [101, 102, None] * 50:
        for source in (LEAVER, 1005, None):
            server.insert_chats(1, assignee=source, department=department)
    wrote = twice(server, reassign, from_agents=[1005, None, LEAVER], department=101, max_chats=120)
    assert len(wrote) == 120


def test_predicts_an_account_with_a_history(
    sandbox: StartAccount, connection: Callable[..., None], reassign: Reassign
) -> None:
    server = sandbox(agents=12, chats=1500)
    connection(server, requests_per_minute=3000, rate_limit_store="memory://")
    targets = [agent["id"] for agent in server.agents[2:]]
    assert (
        len(twice(server, reassign, to_agents=targets, strategy="least_loaded", from_agents=[LEAVER, None]))
        > 150
    )


def test_can_be_reported_and_templated(account: StartAccount, reassign: Reassign, tmp_path: Path) -> None:
    server, path = account(*["opened"] * 3), str(tmp_path / "plan.csv")
    assert reassign(dry_run="True", report_path=path)["planned"] == 3
    assert [row["outcome"] for row in read_records(path)] == ["planned"] * 3
    assert server.writes() == []
