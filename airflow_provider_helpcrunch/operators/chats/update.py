"""Operators that change chats: by a plan, or the assignee of one chat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.assignment import is_nobody
from airflow_provider_helpcrunch.links import HelpCrunchChatLink, link_to_chat
from airflow_provider_helpcrunch.operators.arguments import (
    flag,
    from_json,
    from_text,
    is_file,
    record_id,
    refused,
)
from airflow_provider_helpcrunch.operators.base import WRITES_COLOR, HelpCrunchOperator
from airflow_provider_helpcrunch.operators.chats.bulk import ChatBulkOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_helpcrunch._airflow import Context
    from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
    from airflow_provider_helpcrunch.chats.plan import Plan
    from airflow_provider_helpcrunch.chats.plan_run import PlanRun


class UpdateChatsOperator(ChatBulkOperator):
    """
    Change chats according to a plan that a task of your own has made.

    .. code-block:: python

        UpdateChatsOperator(task_id="apply", plan=[{"id": 4410021, "assignee": 1002, "status": "pending"}])
        UpdateChatsOperator(task_id="apply", plan=decide(search.output))
        UpdateChatsOperator(task_id="apply", plan=dry_run.output)  # of ReassignChatsOperator(dry_run=True)

    The whole plan is checked before anything is sent, and its agents and departments are looked up before anything is
    changed. On Airflow 3.3 and newer a retry continues after the last confirmed change, even if the worker was killed.
    On older versions it starts over, which is harmless: every change is idempotent.

    An entry may say in ``before`` what must still be so of its chat: ``{"assignee": 1001, "status": "opened",
    "department": 12}``, or any of these. The chat is then read right before it is changed. Where something is not so,
    the chat is left alone: it is listed as ``skipped``, with the reason and its present state, and does not fail the
    task. A dry run's result and its report are such plans: their conditions are the assignee, status and department
    that the chat had. This costs at most two requests per chat.

    An entry without ``before`` is applied whatever has happened to its chat since the plan was made: a chat that a
    person has taken or closed in the meantime is changed nevertheless.

    ``max_per_agent`` and ``within_department`` are checked when the turn of a chat comes. Where the agent is full by
    then, or not a member of the chat's department, the chat is left alone and listed as ``skipped``, too.

    Requests: one for each change; one for each chat that is read first, because of conditions, of ``check``, or of one
    of ``max_per_agent``, ``within_department`` and ``note`` where its assignee is to change; the listing of agents, and
    of departments if the plan names some or with ``within_department``; with ``max_per_agent`` one per agent in the
    plan (more for one who has 100 open chats or more); with ``note`` one per chat that got another agent, and one more
    before the first; and one more after each wait for the rate limit.

    All arguments but ``deferrable`` are templated.

    :param plan: dictionaries with ``id`` and the new values: ``assignee`` (an agent's id, ``None`` or ``nobody``),
        ``department`` (an id), ``status`` (``new``, ``opened``, ``pending``, ``on hold``, ``no communication`` or
        ``closed``, in any spelling) and ``snoozed_until`` (a time, or ``None`` for not snoozed); and with ``before``,
        the conditions (default: none). A list, its JSON text, the result of a dry run, or the path or receipt of a file
        in any of our formats, such as a dry run's report. In CSV and Parquet an empty cell means no change
    :param check: read chats without conditions first too, and do not make changes that are already in place again; one
        more request for each of these chats (``False``)
    :param max_per_agent: most open chats that an agent may have after getting one: those counted when the task starts,
        and those given since. Chats that the plan takes from an agent, or closes, are not subtracted. Default: any
        number
    :param within_department: give a chat of a department only to its members (``False``): of the department that the
        plan moves it to, if it does. A chat without a department may go to anybody
    :param note: text of a private note to each chat that got another agent, or nobody, which no customer sees. Never
        sent twice: where it is open whether it was sent, the chat is read, and a note that is not there is reported as
        missing. A chat that is the agent's already gets none. Default: none
    :param note_agent: id of the agent who signs the notes. Default: nobody
    :param report_path: file for a record of each change, as ``output_path`` of the list operators. Default: none
    :param report_format: the format, such as ``jsonl.gz``, if the path's suffix names none. Default: by the suffix
    :param on_error: reaction to a change that fails: ``fail_at_end`` (make all others, then fail; the default),
        ``fail_fast`` or ``report`` (make all others, and succeed)
    :param max_xcom_bytes: largest list of changes that goes into the result, in bytes of JSON (1 MiB)
    :param deferrable: give the worker slot back while the account's rate limit is used up (Airflow's
        ``[operators] default_deferrable``)
    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param patience: longest time in seconds that one request may wait for the rate limit and for 429s (600)

    API: https://docs.helpcrunch.com/rest-api-v1/update-chat-status-v1 and the pages beside it
    """

    template_fields: Sequence[str] = (*ChatBulkOperator.template_fields, "plan", "check")
    arguments_that_may_be_empty: Sequence[str] = ("plan",)  # a task upstream found nothing to change

    def __init__(
        self,
        *,
        plan: Any,
        check: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.check = check

    def work(self) -> Plan:
        """Check the arguments and return the plan."""
        from airflow_provider_helpcrunch.chats.plan import Plan

        flag("check", self.check)
        rules = self.rules()
        return Plan.read(_entries(self.plan), rules)

    def engine(self, work: Plan, checkpoint: Checkpoint) -> PlanRun:
        """Return the engine that continues from a checkpoint."""
        from airflow_provider_helpcrunch.chats.plan_run import PlanRun

        return PlanRun(work, checkpoint, check=flag("check", self.check))


class UpdateChatAssigneeOperator(HelpCrunchOperator):
    """
    Give one chat to an agent, or to nobody, with one request. Meant for dynamic task mapping.

    .. code-block:: python

        UpdateChatAssigneeOperator.partial(task_id="give", assignee_id=1002).expand(chat_id=[4410021, 4410022])

    For a report, a deferral or another reaction to an error, use :class:`UpdateChatsOperator` with a plan of one entry.
    All arguments are templated.

    :param chat_id: id of the chat
    :param assignee_id: id of the agent; ``None`` (in a template ``nobody``) to unassign the chat
    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param patience: longest time in seconds that the request may wait for the rate limit and for 429s (600)

    API: https://docs.helpcrunch.com/rest-api-v1/update-chat-assignee-v1
    """

    ui_color = WRITES_COLOR
    template_fields: Sequence[str] = (*HelpCrunchOperator.template_fields, "chat_id", "assignee_id")
    operator_extra_links = (HelpCrunchChatLink(),)

    def __init__(self, *, chat_id: int | str, assignee_id: int | str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chat_id = chat_id
        self.assignee_id = assignee_id

    def check_arguments(self) -> None:
        """
        Refuse wrong arguments before anything is sent.

        :raises HelpCrunchConfigurationError: an argument is wrong
        """
        super().check_arguments()
        self._change()

    def perform(self, context: Context) -> dict[str, Any]:
        """
        Assign the chat.

        :param context: the context of the task, from Airflow
        :return: as of :class:`UpdateChatsOperator`, without the counts that are always 0: ``changed``, which is 1;
            ``requests``, how many were sent; and ``chats``, a list of one dictionary
        :raises HelpCrunchNotFoundError: there is no such chat or agent
        :raises HelpCrunchError: the chat was not assigned, or HelpCrunch sent no usable response
        """
        from airflow_provider_helpcrunch.chats.failures import error_of
        from airflow_provider_helpcrunch.chats.results import UNKNOWN, Result
        from airflow_provider_helpcrunch.client.ids import id_in
        from airflow_provider_helpcrunch.operators.progress import count_usage
        from airflow_provider_helpcrunch.plurals import counted

        chat, agent = self._change()
        with self.hook as hook:
            client = hook.client
            link_to_chat(context, client, chat)
            try:
                error = error_of(
                    client,
                    chat,
                    lambda: client.update_chat_assignee(chat, agent),
                    lambda found: id_in(found, "assignee") == agent,
                )
            finally:
                count_usage(client.usage)
        if error is not None:
            raise error
        requests = client.usage.requests
        whom = "nobody" if agent is None else f"agent {agent}"
        self.log.info("Assigned chat %d to %s with %s", chat, whom, counted(requests, "request"))
        result = Result(chat, "assignee", UNKNOWN, agent, "changed")
        return {"changed": 1, "requests": requests, "chats": [result._asdict()]}

    def _change(self) -> tuple[int, int | None]:
        """Return the ids of the chat and of its new assignee."""
        agent = None if is_nobody(self.assignee_id) else record_id("assignee_id", self.assignee_id)
        return record_id("chat_id", self.chat_id), agent


def _entries(plan: Any) -> list[Any]:
    plan = from_text("plan", plan)
    if isinstance(plan, dict) and "chats" in plan:
        plan = _of_result(plan)
    if isinstance(plan, str) or is_file(plan):
        return _from_file(plan)
    if isinstance(plan, (dict, bytes)) or not hasattr(plan, "__iter__"):
        msg = (
            "plan must be a list of changes, its JSON text, the result of a dry run, or a file; not "
            f"{type(plan).__name__}."
        )
        raise refused(msg)
    return list(plan)


def _of_result(result: dict[str, Any]) -> Any:
    """Return the changes in an operator's result, or the receipt of its report where they are too many for XCom."""
    changes = result["chats"] if result["chats"] is not None else result.get("report")
    if changes is None:
        msg = (
            "plan is a result without its list of changes, as they were too many for XCom. Set report_path on the "
            "task that made it; the plan is then read from its report."
        )
        raise refused(msg)
    return changes


def _from_file(source: Any) -> list[dict[str, Any]]:
    from airflow_provider_helpcrunch.storage import read_records
    from airflow_provider_helpcrunch.storage.formats import input_format

    entries = list(read_records(source))
    if input_format(source).is_tabular:
        entries = [_from_cells(entry) for entry in entries]
        # Spreadsheets append rows that have only separators.
        while entries and not entries[-1]:
            entries.pop()
    return entries


def _from_cells(row: dict[str, Any]) -> dict[str, Any]:
    """
    Return the entry in a row of a table.

    A table has a cell for every column in every row, so an empty one cannot mean null; in JSON null is deliberate. In a
    report it does mean null: nobody, or no department.
    """
    if row.get("outcome") is not None:
        return row
    entry = {name: value for name, value in row.items() if value is not None}
    if isinstance(entry.get("before"), str):
        entry["before"] = from_json("before", entry["before"])
    return entry
