"""
Open chats of agents: how many each of them has, counted when a task starts.

Closed chats are excluded by the search where it can be trusted: a count that is too low would break a cap. HelpCrunch's
total is believed only where the page shows as many.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.chats.selection import NOT_CLOSED
from airflow_provider_helpcrunch.chats.source_pages import has_only_closed, total_of
from airflow_provider_helpcrunch.client.cursor import LARGEST_PAGE
from airflow_provider_helpcrunch.client.filters import Filter
from airflow_provider_helpcrunch.client.ids import id_in
from airflow_provider_helpcrunch.client.vocabulary import is_open
from airflow_provider_helpcrunch.exceptions import HelpCrunchBadRequestError, HelpCrunchPaginationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
    from airflow_provider_helpcrunch.client import HelpCrunchClient

log = logging.getLogger(__name__)


def count_open_chats(client: HelpCrunchClient, agents: Sequence[int], checkpoint: Checkpoint) -> None:
    """
    Count the open chats of agents, except of those who are counted already.

    :param client: the account. One request for each agent, more for one who has 100 open chats or more; and where
        nobody has any, one to three more, as the search may find none
    :param agents: ids of the agents, in the same order in each call
    :param checkpoint: gets the numbers, and keeps the progress if no request is allowed
    :raises HelpCrunchRateLimitError: no request is allowed; another call goes on
    """
    at = checkpoint
    for agent in agents[at.counted :]:
        at.opened[agent] = _number_of(client, agent, at)
        at.counted += 1
    if at.wide is None and agents:
        at.wide = not any(at.opened.values()) and _misses_chats(client)
        if at.wide:
            log.warning(
                "HelpCrunch's search by status misses chats, so the open chats are counted once more."
            )
            at.counted = 0
            count_open_chats(client, agents, at)


def _number_of(client: HelpCrunchClient, agent: int, at: Checkpoint) -> int:
    mine = Filter("chats.assignee", "=", agent)
    filters = [mine]
    if not at.wide:
        try:
            page = client.search_chats_page([mine, NOT_CLOSED])
        except HelpCrunchBadRequestError as error:
            log.warning("HelpCrunch refuses to search by status: %s", error)
            at.wide = True
        else:
            is_honest = all(
                chat.get("status") != "closed" and id_in(chat, "assignee") == agent for chat in page.records
            )
            if is_honest and page.total == len(page) < LARGEST_PAGE:
                return sum(is_open(chat.get("status")) for chat in page.records)
            if is_honest and not (page.total and not len(page)):
                filters = [mine, NOT_CLOSED]
    log.info("All chats of agent %d are read to count those that are open.", agent)
    found = client.iter_search_chats(filters)
    return sum(is_open(chat.get("status")) and id_in(chat, "assignee") == agent for chat in found)


def _misses_chats(client: HelpCrunchClient) -> bool:
    """Say whether the search without closed chats finds none although the account may have some."""
    try:
        if client.search_chats_page([NOT_CLOSED], limit=1).ids:
            return False
    except HelpCrunchPaginationError:  # empty under a total
        return True
    return not has_only_closed(client, [], total_of(client, []))
