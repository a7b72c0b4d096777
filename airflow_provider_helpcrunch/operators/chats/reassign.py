"""Operator that gives the chats of some agents to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.assignment import is_nobody
from airflow_provider_helpcrunch.operators.arguments import (
    flag,
    from_text,
    is_file_rather_than_ids,
    items,
    names,
    record_id,
    refused,
    whole_number,
)
from airflow_provider_helpcrunch.operators.chats.bulk import MOST_CHATS, ChatBulkOperator
from airflow_provider_helpcrunch.plurals import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_helpcrunch.assignment import Strategy
    from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
    from airflow_provider_helpcrunch.chats.reassignment import Reassignment, ReassignmentRun


class ReassignChatsOperator(ChatBulkOperator):
    """
    Give the chats of some agents, or of nobody, to other agents.

    .. code-block:: python

        ReassignChatsOperator(task_id="hand_over", from_agents=1001, to_agents=[1002, 1003])
        ReassignChatsOperator(task_id="spread", from_agents=None, to_agents=list_agents.output, strategy="least_loaded")

    The task reads the first page of chats, moves them, and reads the first page again until none is left. Progress is
    therefore recorded in HelpCrunch itself: a retry continues, and a chat that a person has taken meanwhile is left
    alone. Requests: the listing of agents; one per chat moved; one per 100 chats read; with ``least_loaded`` or
    ``max_per_agent`` one per agent in ``to_agents``; with ``within_department`` the listing of departments; with
    ``note`` one more per chat moved; and one more after each wait for the rate limit. HelpCrunch cannot search for
    unassigned chats, so with ``None`` all chats that are not closed are read, 100 per request.

    A chat that nobody may get, by ``max_per_agent`` or ``within_department``, stays where it is. The task succeeds all
    the same: the first line of its log says how many are left and why, and the result counts them as ``left``.

    All arguments but ``deferrable`` are templated.

    :param from_agents: agents whose chats are moved: an id, several (a list, its JSON text, or text with commas),
        agents from ``ListAgentsOperator``, or ``None`` (in a template ``unassigned``) for unassigned chats
    :param to_agents: agents who get the chats: ids or agents as for ``from_agents``, or the file that
        ``ListAgentsOperator`` wrote (its path or its result). All of them must exist
    :param statuses: only chats with one of these statuses, in any spelling: a list, one status, or JSON text. Default:
        all open chats, which are neither ``closed`` nor ``empty``
    :param department: only chats of the department with this id. Default: all chats, with or without a department
    :param strategy: choice of the agent for each chat: ``round_robin`` (each in turn; the default), ``least_loaded``
        (the agent with the fewest open chats) or the import path of a function (see
        :mod:`airflow_provider_helpcrunch.assignment`)
    :param max_chats: most chats to move. Default: all
    :param dry_run: change nothing, and report the changes that would be made (``False``). Outlet assets get no event
    :param allow_unknown_agents: succeed if one of ``from_agents`` is unknown to the account and has no chats
        (``False``). The chats of an agent who has left the account are moved in any case
    :param max_per_agent: most open chats that an agent may have after getting one: those counted when the task starts,
        and those given since. Default: any number
    :param within_department: give a chat of a department only to its members (``False``). A chat without a department
        may go to anybody
    :param note: text of a private note to each moved chat, which no customer sees. Never sent twice: where it is open
        whether it was sent, the chat is read, and a note that is not there is reported as missing. Default: none
    :param note_agent: id of the agent who signs the notes. Default: nobody
    :param report_path: file for a record of each chat, as ``output_path`` of the list operators. Default: none
    :param report_format: the format, such as ``jsonl.gz``, if the path's suffix names none. Default: by the suffix
    :param on_error: reaction to a chat that cannot be moved: ``fail_at_end`` (move all others, then fail; the
        default), ``fail_fast`` or ``report`` (move all others, and succeed)
    :param max_xcom_bytes: largest list of changes that goes into the result, in bytes of JSON (1 MiB)
    :param deferrable: give the worker slot back while the account's rate limit is used up (Airflow's
        ``[operators] default_deferrable``)
    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param patience: longest time in seconds that one request may wait for the rate limit and for 429s (600)

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
        # Not "dry_run": that is a method of every Airflow operator.
        self.is_dry_run = dry_run
        self.allow_unknown_agents = allow_unknown_agents

    def work(self) -> Reassignment:
        """Check the arguments and return the reassignment."""
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
            rules=self.rules(),
        )

    def engine(self, work: Reassignment, checkpoint: Checkpoint) -> ReassignmentRun:
        """Return the engine that continues from a checkpoint."""
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
    value = from_text("to_agents", value)
    if is_file_rather_than_ids(value):
        from airflow_provider_helpcrunch.storage import read_records

        given: list[Any] = list(read_records(value))
    else:
        given = items("to_agents", value)
    if not given:
        msg = "to_agents is empty, so nobody could get the chats; name at least one agent."
        raise refused(msg)
    return tuple(dict.fromkeys(record_id("to_agents", item, several=True) for item in given))


def _strategy(name: Any) -> Strategy:
    import pkgutil

    from airflow_provider_helpcrunch.assignment import STRATEGIES

    if isinstance(name, str) and name in STRATEGIES:
        return STRATEGIES[name]
    problem = "it is not an import path such as my_package.my_module.my_function"
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
        f"strategy must be {', '.join(STRATEGIES)} or the import path of a function; {quoted(name)} cannot be used: "
        f"{problem}."
    )
    raise refused(msg)
