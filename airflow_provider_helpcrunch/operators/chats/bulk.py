"""What operators that change many chats have in common: all but the changes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch._airflow import conf
from airflow_provider_helpcrunch.operators.arguments import choice, flag, refused, whole_number
from airflow_provider_helpcrunch.operators.base import MAX_XCOM_BYTES, HelpCrunchOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_helpcrunch._airflow import Context, ObjectStoragePath
    from airflow_provider_helpcrunch.exceptions import HelpCrunchPartialError
    from airflow_provider_helpcrunch.operators.chats.ledger import Ledger
    from airflow_provider_helpcrunch.operators.chats.outcome import Outcome, Report
    from airflow_provider_helpcrunch.operators.chats.work import Job, Order, Work
    from airflow_provider_helpcrunch.storage import Target

ON_ERROR = ("fail_at_end", "fail_fast", "report")
PATIENCE = 600


class ChatBulkOperator(HelpCrunchOperator):
    """
    Base of the operators that change many chats.

    :param report_path: where a record for each change goes, as ``output_path`` of the list operators. Default: nowhere
    :param report_format: the format where the path's suffix does not tell, such as ``jsonl.gz``
    :param on_error: when HelpCrunch does not change a chat: ``fail_at_end`` (go on, and fail when all others are done),
        ``fail_fast`` or ``report`` (go on, and succeed)
    :param max_xcom_bytes: a larger list of changes stays out of the result, in bytes of JSON (1 MiB)
    :param deferrable: give the worker slot back while the account's request budget is spent (Airflow's
        ``[operators] default_deferrable``)
    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param patience: seconds that one request may wait for the account's request budget and for 429s (600)
    """

    template_fields: Sequence[str] = (
        *HelpCrunchOperator.template_fields,
        "report_path",
        "report_format",
        "on_error",
        "max_xcom_bytes",
    )

    def __init__(
        self,
        *,
        report_path: str | ObjectStoragePath | None = None,
        report_format: str | None = None,
        on_error: str = "fail_at_end",
        max_xcom_bytes: int | str = MAX_XCOM_BYTES,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.report_path = report_path
        self.report_format = report_format
        self.on_error = on_error
        self.max_xcom_bytes = max_xcom_bytes
        self.deferrable = deferrable

    def order(self) -> Order:
        """Check the arguments and return what is to be done."""
        raise NotImplementedError

    def job(self, order: Any, ledger: Ledger) -> Job:
        """Return the work of an order, apart from what the ledger says is done."""
        raise NotImplementedError

    def check_arguments(self) -> None:
        """
        Refuse arguments that are wrong, before anything is sent or written.

        :raises HelpCrunchConfigurationError: an argument is wrong
        """
        super().check_arguments()
        choice("on_error", self.on_error, ON_ERROR)
        flag("deferrable", self.deferrable)
        whole_number("max_xcom_bytes", self.max_xcom_bytes, low=1, high=2**31)
        self._report_target()

    def perform(self, context: Context) -> dict[str, Any]:
        """
        Do the work.

        :param context: the context of the task, from Airflow
        :return: how many changes were ``changed``, ``planned``, ``unchanged``, ``refused`` and ``failed``; ``chats``, a
            dictionary for each change (``None`` where they are larger than ``max_xcom_bytes``); ``requests``, how many
            were sent; and with ``report_path`` ``report``, the receipt of the file
        :raises HelpCrunchConfigurationError: an argument or the connection is wrong; nothing was written
        :raises HelpCrunchPartialError: some chats could not be changed, and all others were (``fail_at_end``)
        :raises HelpCrunchError: the work stopped; the log and the report tell what was done before
        """
        work = self._prepared(context)
        work.ledger.load()
        if work.ledger.earlier:
            self.log.info("Changes noted by earlier tries of this task: %d.", work.ledger.earlier)
        return self._go_on(context, work)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Go on after a deferral; result as for :meth:`perform`.

        :param context: the context of the task, from Airflow
        :param event: what the trigger sent: the state that the task carried through the deferral
        """
        return self._without_frames(self._resume, context, event)

    def _resume(self, context: Context, event: dict[str, Any] | None) -> dict[str, Any]:
        if not event:
            from airflow_provider_helpcrunch.exceptions import HelpCrunchError

            msg = (
                "The trigger ended without an event, so the task cannot go on. Clear it to start "
                "over: that is harmless."
            )
            raise HelpCrunchError(msg)
        self.check_arguments()
        work = self._prepared(context)
        work.take_up(event)
        return self._go_on(context, work)

    def _prepared(self, context: Context) -> Work:
        from airflow_provider_helpcrunch.operators.chats.ledger import Ledger
        from airflow_provider_helpcrunch.operators.chats.work import Work

        order = self.order()
        if order.dry_run:
            # Airflow emits an event for each outlet of a task that succeeds, and what is scheduled on it would start
            # for nothing. This object is this run's own.
            self.outlets = []
        store = None if order.dry_run else context.get("task_state_store")
        ledger = Ledger(store, order.fingerprint)
        return Work(
            self.helpcrunch_conn_id,
            order,
            ledger,
            lambda: self.job(order, ledger),
            self._patience() or PATIENCE,
            fail_fast=self.on_error == "fail_fast",
            log=self.log,
        )

    def _go_on(self, context: Context, work: Work) -> dict[str, Any]:
        from airflow_provider_helpcrunch.operators.chats.outcome import Report

        try:
            while (seconds := work.until_spent()) is not None and not self._may_defer(work):
                self.log.info("The account's request budget is spent; waiting %.0f s.", seconds)
                time.sleep(seconds)
        except BaseException as error:
            self._tell_of_failure(context, work, error)
            raise
        if seconds is not None:
            self.log.info(
                "The account's request budget is spent; giving the worker slot back for %.0f s.", seconds
            )
            self._defer_for(seconds, work.state)
        result = self._told(context, work)
        failures = Report(work.ledger.standing()).failures()
        if failures and self.on_error != "report":
            self._push(context, result)
            raise _partial(failures)
        work.ledger.close()
        return result

    def _may_defer(self, work: Work) -> bool:
        """Say whether to give the worker slot back: only with a state that every database can hold."""
        from airflow_provider_helpcrunch.operators.chats.carried import MOST_BYTES

        if not flag("deferrable", self.deferrable):
            return False
        if (size := len(json.dumps(work.state))) <= MOST_BYTES:
            return True
        self.log.info(
            "Keeping the worker slot: this task would have to carry %d bytes through a deferral, and %d are safe on "
            "every database. Airflow 3.3 and newer keep what a task has done in their state store instead.",
            size,
            MOST_BYTES,
        )
        return False

    def _defer_for(self, seconds: float, state: dict[str, Any]) -> None:
        from airflow_provider_helpcrunch.triggers.budget import BudgetTrigger

        self.defer(trigger=BudgetTrigger(time.time() + seconds, state), method_name="execute_complete")

    def _told(self, context: Context, work: Work) -> dict[str, Any]:
        """Write the report, to the log and where it was asked for, and return the result."""
        from airflow_provider_helpcrunch.operators.chats.outcome import Report, in_words
        from airflow_provider_helpcrunch.plurals import counted

        report, names = Report(work.ledger.standing()), work.job.names
        counts = {**report.counts(), **work.job.summary()}
        table = f"\n{report.table(names)}" if len(report) else ""
        self.log.info("%s; %s%s", in_words(counts), counted(work.requests, "request"), table)
        result: dict[str, Any] = {**counts, "requests": work.requests, "chats": self._for_xcom(report)}
        if (target := self._report_target()) is not None:
            receipt = {**target.write(report.rows(names))}
            result["report"] = receipt
            self.tell_assets(context, receipt)
        return result

    def _for_xcom(self, report: Report) -> list[dict[str, Any]] | None:
        """Return the changes as plain dictionaries, unless they are too many."""
        from airflow_provider_helpcrunch.operators.xcom import unfit_for_xcom

        limit = whole_number("max_xcom_bytes", self.max_xcom_bytes, low=1, high=2**31)
        changes = [outcome._asdict() for outcome in report]
        problem = unfit_for_xcom(changes, limit)
        if problem is None:
            return changes
        self.log.warning(
            "%s: the list of changes %s, so the result has only the counts.",
            "See the report" if self.report_path is not None else "Set report_path to get them in a file",
            problem,
        )
        return None

    def _tell_of_failure(self, context: Context, work: Work, error: BaseException) -> None:
        """Report what was done before the error, which no error in reporting may hide."""
        if not work.ledger.outcomes:
            return
        self.log.error("The work stopped (%s). What was done before:", type(error).__name__)
        try:
            self._push(context, self._told(context, work))
        except Exception as second:
            self.log.error("The report could not be written: %s", second)

    def _push(self, context: Context, result: dict[str, Any]) -> None:
        """Hand the result on although the task fails, as Airflow does when it succeeds."""
        instance = context.get("ti")
        if instance is None or not self.do_xcom_push:
            return
        for key, value in result.items() if self.multiple_outputs else ():
            instance.xcom_push(key=key, value=value)
        instance.xcom_push(key="return_value", value=result)

    def _report_target(self) -> Target | None:
        if self.report_path is None:
            if self.report_format is not None:
                msg = "report_format needs report_path: without it there is no file."
                raise refused(msg)
            return None
        from airflow_provider_helpcrunch.operators.chats.outcome import CHANGES
        from airflow_provider_helpcrunch.storage import Target

        return Target.resolve(self.report_path, CHANGES, self.report_format)


def _partial(failures: Sequence[Outcome]) -> HelpCrunchPartialError:
    from airflow_provider_helpcrunch.exceptions import HelpCrunchPartialError, HelpCrunchRefusedError

    refused_only = all(outcome.outcome == "refused" for outcome in failures)
    some = "; ".join(f"chat {outcome.id}: {outcome.error}" for outcome in failures[:3])
    more = f" … and {len(failures) - 3} more" if len(failures) > 3 else ""
    count = "1 change was" if len(failures) == 1 else f"{len(failures)} changes were"
    msg = f"{count} not made; the log has a table of all. {some}{more}"
    return (HelpCrunchRefusedError if refused_only else HelpCrunchPartialError)(msg)
