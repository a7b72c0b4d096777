"""Operators that change chats: by a plan, or the assignee of one chat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.assignment import is_nobody
from airflow_provider_helpcrunch.operators.arguments import flag, from_json, record_id, refused
from airflow_provider_helpcrunch.operators.chats.bulk import ChatBulkOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
    from airflow_provider_helpcrunch.chats.plan import Plan
    from airflow_provider_helpcrunch.chats.plan_run import PlanRun


class UpdateChatsOperator(ChatBulkOperator):
    """
    Change chats according to a plan that a task of your own has made.

    .. code-block:: python

        UpdateChatsOperator(task_id="apply", plan=[{"id": 4410021, "assignee": 1002, "status": "pending"}])
        UpdateChatsOperator(task_id="apply", plan=decide(search.output))

    The whole plan is checked before anything is sent, and its agents and departments are looked up before anything is
    changed. On Airflow 3.3 and newer a retry continues after the last confirmed change, even if the worker was killed.
    On older versions it starts over, which is harmless: every change is idempotent.

    All arguments but ``deferrable`` are templated.

    :param plan: dictionaries with ``id`` and the new values: ``assignee`` (an agent's id, ``None`` or ``nobody``),
        ``department`` (an id), ``status`` (``new``, ``opened``, ``pending``, ``on hold``, ``no communication`` or
        ``closed``, in any spelling) and ``snoozed_until`` (a time, or ``None`` for not snoozed). A list, its JSON text,
        or the path or receipt of a file in any of our formats. In CSV and Parquet an empty cell means no change
    :param check: read every chat first, and skip changes that are already in place; one more request per chat
        (``False``)
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
        return Plan.read(_entries(self.plan))

    def engine(self, work: Plan, checkpoint: Checkpoint) -> PlanRun:
        """Return the engine that continues from a checkpoint."""
        from airflow_provider_helpcrunch.chats.plan_run import PlanRun

        return PlanRun(work, checkpoint, check=flag("check", self.check))


class UpdateChatAssigneeOperator(ChatBulkOperator):
    """
    Give one chat to an agent, or to nobody, with one request. Meant for dynamic task mapping.

    .. code-block:: python

        UpdateChatAssigneeOperator.partial(task_id="give", assignee_id=1002).expand(chat_id=[4410021, 4410022])

    All arguments but ``deferrable`` are templated.

    :param chat_id: id of the chat
    :param assignee_id: id of the agent; ``None`` (in a template ``nobody``) to unassign the chat
    :param on_error: reaction to a failure: ``fail_fast`` (raise HelpCrunch's own error; the default), ``fail_at_end``
        (raise an error with a summary) or ``report`` (succeed)
    :param report_path: file for a record of the change, as ``output_path`` of the list operators. Default: none
    :param report_format: the format, such as ``jsonl.gz``, if the path's suffix names none. Default: by the suffix
    :param max_xcom_bytes: largest list of changes that goes into the result, in bytes of JSON (1 MiB)
    :param deferrable: give the worker slot back while the account's rate limit is used up (Airflow's
        ``[operators] default_deferrable``)
    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param patience: longest time in seconds that the request may wait for the rate limit and for 429s (600)

    API: https://docs.helpcrunch.com/rest-api-v1/update-chat-assignee-v1
    """

    template_fields: Sequence[str] = (*ChatBulkOperator.template_fields, "chat_id", "assignee_id")

    def __init__(
        self, *, chat_id: int | str, assignee_id: int | str | None, on_error: str = "fail_fast", **kwargs: Any
    ) -> None:
        super().__init__(on_error=on_error, **kwargs)
        self.chat_id = chat_id
        self.assignee_id = assignee_id

    def work(self) -> Plan:
        """Check the arguments and return a plan of one change."""
        from airflow_provider_helpcrunch.chats.plan import Plan

        assignee = None if is_nobody(self.assignee_id) else record_id("assignee_id", self.assignee_id)
        return Plan.read([{"id": record_id("chat_id", self.chat_id), "assignee": assignee}])

    def engine(self, work: Plan, checkpoint: Checkpoint) -> PlanRun:
        """Return the engine, which looks nothing up: HelpCrunch itself refuses an unknown agent."""
        from airflow_provider_helpcrunch.chats.plan_run import PlanRun

        return PlanRun(work, checkpoint, look_up=False)


def _entries(plan: Any) -> list[Any]:
    if isinstance(plan, str) and plan.lstrip().startswith(("[", "{")):
        plan = from_json("plan", plan)
    if isinstance(plan, str) or hasattr(plan, "open") or (isinstance(plan, dict) and "path" in plan):
        return _from_file(plan)
    if isinstance(plan, (dict, bytes)) or not hasattr(plan, "__iter__"):
        msg = f"plan must be a list of changes, its JSON text, or a file; not {type(plan).__name__}."
        raise refused(msg)
    return list(plan)


def _from_file(source: Any) -> list[dict[str, Any]]:
    from airflow_provider_helpcrunch.storage import read_records
    from airflow_provider_helpcrunch.storage.formats import choose_format

    entries = list(read_records(source))
    path, name = (source["path"], source.get("format")) if isinstance(source, dict) else (str(source), None)
    # A table has a cell for every column in every row, so an empty one cannot mean null; in JSON null is deliberate.
    if choose_format(path, name).kind in ("csv", "parquet"):
        entries = [{name: value for name, value in entry.items() if value is not None} for entry in entries]
        # Spreadsheets append rows that have only separators.
        while entries and not entries[-1]:
            entries.pop()
    return entries
