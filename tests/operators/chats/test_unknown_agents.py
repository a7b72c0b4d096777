"""Agents in ``from_agents`` whom the account does not know: one who has left is drained, a mistake is an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from task_context import Store

from airflow_provider_helpcrunch._airflow import AirflowFailException
from airflow_provider_helpcrunch.exceptions import HelpCrunchAuthError, HelpCrunchConfigurationError
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.storage import read_records

StartAccount = Callable[..., Sandbox]
Reassign = Callable[..., dict[str, Any]]

LEAVER, LEFT, TYPO = 1001, 1005, 9999
WRITE = "/v1/chats/assignee"


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("value", [TYPO, str(TYPO), [TYPO], f"[{TYPO}]"])
def test_nothing_found_fails_for_good(
    value: Any, dry_run: bool, account: StartAccount, reassign: Reassign
) -> None:
    server = account("opened")
    with pytest.raises(
        HelpCrunchConfigurationError, match=f"from_agents names {TYPO}, but the account"
    ) as caught:
        reassign(from_agents=value, dry_run=dry_run)
    assert isinstance(caught.value, AirflowFailException)
    assert "allow_unknown_agents=True" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert server.writes() == []


def test_all_of_them_are_named_after_the_others_were_moved(
    account: StartAccount, reassign: Reassign, tmp_path: Path
) -> None:
    server, path = account(*["opened"] * 5), str(tmp_path / "report.jsonl")
    with pytest.raises(HelpCrunchConfigurationError, match="names 9998, 9999, but"):
        reassign(from_agents=[9998, LEAVER, TYPO], report_path=path)
    assert server.chats_of(LEAVER) == []
    assert len(list(read_records(path))) == 5


def test_many_of_them_are_one_sentence(account: StartAccount, reassign: Reassign) -> None:
    account()
    with pytest.raises(HelpCrunchConfigurationError, match="and 980 more") as caught:
        reassign(from_agents=list(range(9000, 10_000)))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("allowed", [True, "True", "true"])
def test_can_be_allowed(allowed: Any, account: StartAccount, reassign: Reassign) -> None:
    account()
    assert reassign(from_agents=TYPO, allow_unknown_agents=allowed)["changed"] == 0


@pytest.mark.parametrize("wrong", ["perhaps", 2])
def test_the_switch_is_checked(wrong: Any, account: StartAccount, reassign: Reassign) -> None:
    server = account("opened")
    with pytest.raises(HelpCrunchConfigurationError, match="allow_unknown_agents must be true or false"):
        reassign(allow_unknown_agents=wrong)
    assert server.journal == []


@pytest.mark.parametrize("chats", [1, 120])
def test_chats_of_an_agent_who_has_left_are_moved(
    chats: int, account: StartAccount, reassign: Reassign
) -> None:
    server = account()
    server.insert_chats(chats, assignee=LEFT)
    server.remove_agent(LEFT)
    assert reassign(from_agents=[LEFT, LEAVER])["changed"] == chats
    assert server.chats_of(LEFT) == []


@pytest.mark.parametrize("status", ["closed", "pending", "empty"])
def test_chats_that_stay_tell_a_mistake_from_an_agent_who_has_left(
    status: str, account: StartAccount, reassign: Reassign
) -> None:
    server = account()
    server.insert_chats(3, assignee=LEFT, status=status)
    server.remove_agent(LEFT)
    assert reassign(from_agents=LEFT, statuses=["opened"])["changed"] == 0


def test_one_whom_max_chats_did_not_reach_is_not_judged(account: StartAccount, reassign: Reassign) -> None:
    account(*["opened"] * 5)
    assert reassign(from_agents=[LEAVER, TYPO], max_chats=2)["changed"] == 2


def test_a_retry_knows_what_an_earlier_try_found(account: StartAccount, reassign: Reassign) -> None:
    server, context = account(*["opened"] * 3), {"task_state_store": Store()}
    server.insert_chats(3, assignee=LEFT)
    server.remove_agent(LEFT)
    server.add_fault(Fault("status", status=401, path=WRITE, nth=5, times=0))
    with pytest.raises(HelpCrunchAuthError):
        reassign(context, from_agents=[LEFT, LEAVER])
    server.clear_faults()
    assert reassign(context, from_agents=[LEFT, LEAVER])["changed"] == 6
