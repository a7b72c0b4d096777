"""Operator that gives the chats of some agents to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.assignment import is_nobody
from airflow_provider_helpcrunch.operators.arguments import (
    flag,
    from_json,
    items,
    names,
    record_id,
    refused,
    whole_number,
)
from airflow_provider_helpcrunch.operators.chats.bulk import ChatBulkOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_helpcrunch.assignment import Strategy
    from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
    from airflow_provider_helpcrunch.chats.reassignment import Reassignment, ReassignmentRun

MOST_CHATS = 10_000_000


class ReassignChatsOperator(ChatBulkOperator):
    """
    Give the chats of some agents, or of nobody, to other agents.

    .. code-block:: python

        ReassignChatsOperator(task_id="hand_over", from_agents=1001, to_agents=[1002, 1003])
        ReassignChatsOperator(task_id="spread", from_agents=None, to_agents=list_agents.output, strategy="least_loaded")

    It reads the first page of chats, moves them, and reads the first page again until nothing is left, so what it has
    done is known to HelpCrunch itself: a retry goes on, and a chat that a person has taken meanwhile is left alone.
    The cost: the listing of agents, a request for each chat, and one for each 100 chats that are moved or stay; with
    ``least_loaded`` one for each target; and one more after each wait for the rate limit. Unassigned chats cannot
    be searched for, so with ``None`` all chats that are not closed are read, 100 a request.

    All arguments but ``deferrable`` are templated.

    :param from_agents: whose chats: an id, several (a list, its JSON text, or text with commas), agents from
        ``ListAgentsOperator``, or ``None`` (in a template ``unassigned``) for chats of nobody
    :param to_agents: who gets them: ids or agents as for ``from_agents``, or the file that ``ListAgentsOperator``
        wrote (its path or its result). All of them must exist
    :param statuses: only chats in these statuses, in any spelling. Default: all that are open, that is neither
        ``closed`` nor ``empty``
    :param department: only chats of the department with this id. Default: of any and of none
    :param strategy: who gets which chat: ``round_robin`` (each in turn; the default), ``least_loaded`` (who has the
        fewest open chats) or the import path of a function (see :mod:`airflow_provider_helpcrunch.assignment`)
    :param max_chats: how many chats are moved at most. Default: all
    :param dry_run: write nothing, and report what would be done (``False``). Outlet assets get no event then
    :param allow_unknown_agents: succeed where one of ``from_agents`` is unknown to the account and has no chats
        (``False``). The chats of an agent who has left are moved in any case
    :param report_path: where a record for each chat goes, as ``output_path`` of the list operators. Default: nowhere
    :param report_format: the format where the path's suffix does not tell, such as ``jsonl.gz``
    :param on_error: when a chat cannot be moved: ``fail_at_end`` (go on, and fail when all others are done; the
        default), ``fail_fast`` or ``report`` (go on, and succeed)
    :param max_xcom_bytes: a larger list of chats stays out of the result, in bytes of JSON (1 MiB)
    :param deferrable: give the worker slot back while the account's rate limit is used up (Airflow's
        ``[operators] default_deferrable``)
    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param patience: seconds that one request may wait for the account's rate limit and for 429s (600)

    API: https://docs.helpcrunch.com/rest-api-v1/update-chat-assignee-v1
    """

    template_fields: Sequence[str] = (
        *ChatBulkOperator.template_fields,
        "from_agents",
        "to_agents",
        "statuses",
        "department",
        "strategy",
        "max_chats",
        "is_dry_run",
        "allow_unknown_agents",
    )

    def __init__(
        self,
        *,
        from_agents: Any,
        to_agents: Any,
        statuses: Sequence[str] | str | None = None,
        department: int | str | None = None,
        strategy: str = "round_robin",
        max_chats: int | str | None = None,
        dry_run: bool | str = False,
        allow_unknown_agents: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.from_agents = from_agents
        self.to_agents = to_agents
        self.statuses = statuses
        self.department = department
        self.strategy = strategy
        self.max_chats = max_chats
        # Every Airflow operator has a method dry_run.
        self.is_dry_run = dry_run
        self.allow_unknown_agents = allow_unknown_agents

    def work(self) -> Reassignment:
        """Check the arguments and return what is to be done."""
        from airflow_provider_helpcrunch.chats.reassignment import Reassignment
        from airflow_provider_helpcrunch.client.vocabulary import known_status

        flag("allow_unknown_agents", self.allow_unknown_agents)
        most = self.max_chats
        statuses = None if self.statuses is None else names("statuses", self.statuses)
        _strategy(self.strategy)
        return Reassignment(
            sources=_sources(self.from_agents),
            recipients=_recipients(self.to_agents),
            department=None if self.department is None else record_id("department", self.department),
            statuses=None if statuses is None else tuple(sorted({known_status(word) for word in statuses})),
            strategy=self.strategy,
            most=None if most is None else whole_number("max_chats", most, low=1, high=MOST_CHATS),
            dry_run=flag("dry_run", self.is_dry_run),
        )

    def engine(self, work: Reassignment, checkpoint: Checkpoint) -> ReassignmentRun:
        """Return the engine that goes on from a checkpoint."""
        from airflow_provider_helpcrunch.chats.reassignment import ReassignmentRun

        allow_unknown = flag("allow_unknown_agents", self.allow_unknown_agents)
        return ReassignmentRun(work, _strategy(self.strategy), checkpoint, allow_unknown=allow_unknown)


def _sources(value: Any) -> tuple[int | None, ...]:
    given = [None] if value is None else items("from_agents", value)
    if not given:
        msg = "from_agents is empty; name the agents whose chats go to others, or None for unassigned chats."
        raise refused(msg)
    found = [None if is_nobody(item) else record_id("from_agents", item, several=True) for item in given]
    return tuple(dict.fromkeys(found))


def _recipients(value: Any) -> tuple[int, ...]:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = from_json("to_agents", value)
    if _is_file(value):
        from airflow_provider_helpcrunch.storage import read_records

        given: list[Any] = list(read_records(value))
    else:
        given = items("to_agents", value)
    if not given:
        msg = "to_agents is empty, so nobody could get the chats; name at least one agent."
        raise refused(msg)
    return tuple(dict.fromkeys(record_id("to_agents", item, several=True) for item in given))


def _is_file(value: Any) -> bool:
    if isinstance(value, str):
        # Ids have no dot, and a path without a suffix could not be read.
        return "." in value and not value.lstrip().startswith("[")
    return (isinstance(value, dict) and "path" in value) or hasattr(value, "open")


def _strategy(name: Any) -> Strategy:
    import pkgutil

    from airflow_provider_helpcrunch.assignment import STRATEGIES

    if isinstance(name, str) and name in STRATEGIES:
        return STRATEGIES[name]
    problem = "it is no import path such as my_package.my_module.my_function"
    if isinstance(name, str) and "." in name:
        try:
            found = pkgutil.resolve_name(name)
        except (ImportError, AttributeError, ValueError) as error:
            problem = str(error)
        else:
            if callable(found):
                return found  # type: ignore[no-any-return]
            problem = "it is not a function"
    msg = (
        f"strategy must be {', '.join(STRATEGIES)} or the import path of a function; {name!r} cannot be used: "
        f"{problem}."
    )
    raise refused(msg)
