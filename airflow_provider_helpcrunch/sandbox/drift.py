"""Drift: changes that the account makes by itself just before a response."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.sandbox.night import night

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_helpcrunch.sandbox.account import Account
    from airflow_provider_helpcrunch.sandbox.faults import Fault


def happen(account: Account, fault: Fault) -> None:
    """Change the account the way a fault says; the kinds that change no data do nothing."""
    change = _CHANGES.get(fault.kind)
    if change:
        change(account, fault)


def _insert(account: Account, fault: Fault) -> None:
    account.agents.insert(fault.number, fault.at)


def _delete(account: Account, fault: Fault) -> None:
    account.agents.delete(fault.number, fault.at)


def _arrive(account: Account, fault: Fault) -> None:
    for _ in range(fault.number):
        account.open_chat(assignee=fault.agent, status="new")


def _take(account: Account, fault: Fault) -> None:
    by = account.last_agent() if fault.by is None else fault.by
    if by is not None:
        account.chats.take(fault.number, fault.at, fault.agent, by)


def _silent(account: Account, fault: Fault) -> None:
    night(account, 0, silent=fault.number)


def _erase(account: Account, fault: Fault) -> None:
    night(account, 0, deletions=fault.number)


def _vanish(account: Account, fault: Fault) -> None:
    if fault.agent is not None:
        account.remove_agent(fault.agent)


_CHANGES: dict[str, Callable[[Account, Fault], None]] = {
    "insert": _insert,
    "delete": _delete,
    "arrive": _arrive,
    "take": _take,
    "silent": _silent,
    "erase": _erase,
    "vanish": _vanish,
}
