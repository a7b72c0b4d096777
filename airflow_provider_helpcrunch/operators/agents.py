"""Operators for agents, the team members of a HelpCrunch account."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.operators.arguments import names
from airflow_provider_helpcrunch.operators.base import HelpCrunchListOperator

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_provider_helpcrunch.client import HelpCrunchClient, Listing
    from airflow_provider_helpcrunch.schema import Record, Table


LONGEST_ROLE = 60
"""Characters. Longer texts are not roles and do not belong in a log."""


class ListAgentsOperator(HelpCrunchListOperator):
    """
    List every agent of the account exactly once, into XCom or into one object.

    .. code-block:: python

        ListAgentsOperator(task_id="agents", roles=["agent", "admin"])
        ListAgentsOperator(task_id="agents", output_path="s3://my_aws@bucket/agents/{{ ds }}.jsonl.gz")

    All arguments are templated.

    :param roles: only agents with one of these roles: a list, one role, or the JSON text of a list. HelpCrunch has
        ``admin``, ``agent``, ``agentChatOnly``, ``superviser`` (spelled so) and roles of your own. Default: all
    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param output_path: destination of the agents; default XCom (see :class:`.base.HelpCrunchListOperator`)
    :param file_format: the format, such as ``jsonl.gz``, if the path's suffix names none. Default: by the suffix
    :param page_size: agents per request, 1 to 100 (100)
    :param max_xcom_bytes: largest result that may go to XCom, in bytes of JSON (1 MiB)
    :param columns: names of the columns to keep, or of those to leave out with ``-`` before each, such as
        ``-customer.email``: see :mod:`airflow_provider_helpcrunch.privacy`. Default: all
    :param hash: names of columns whose values are replaced by hashes, such as ``customer.email``. Default: none
    :param hash_salt: the secret key of the hashes, such as ``{{ var.value.helpcrunch_hash_secret }}``; never shown
    :param patience: longest time in seconds that one request may wait for the rate limit and for 429s (600)

    API: https://docs.helpcrunch.com/rest-api-v1/get-agents-v1
    """

    template_fields: Sequence[str] = (*HelpCrunchListOperator.template_fields, "roles")

    def __init__(self, *, roles: Sequence[str] | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.roles = roles

    def check_arguments(self) -> None:
        """
        Refuse wrong arguments before anything is sent or written.

        :raises HelpCrunchConfigurationError: an argument is wrong
        """
        super().check_arguments()
        if self.roles is not None:
            names("roles", self.roles)

    def table(self) -> Table:
        """Return the columns of agents."""
        from airflow_provider_helpcrunch.schema import AGENTS

        return AGENTS

    def listing(self, client: HelpCrunchClient, page_size: int) -> Listing[Any]:
        """Return all agents."""
        return client.iter_agents(page_size=page_size)

    def wanted(self, records: Iterable[Record]) -> Iterable[Record]:
        """Return the agents with one of the wanted roles."""
        return records if self.roles is None else self._with_roles(records, names("roles", self.roles))

    def _with_roles(self, agents: Iterable[Record], roles: frozenset[str]) -> Iterator[Record]:
        seen: Counter[str] = Counter()
        for agent in agents:
            role = agent.get("role")
            if not isinstance(role, str) or len(role) > LONGEST_ROLE:
                role = "(no name)"
            seen[role] += 1
            if role in roles:
                yield agent
        if unknown := sorted(role for role in roles if not seen[role]):
            known = ", ".join(sorted(seen)[:20]) or "none"
            self.log.warning(
                "No agent has the role %s.%s",
                ", ".join(unknown),
                f" Roles of this account: {known}." if self._privacy.shows("role") else "",
            )
