"""Base class of the operators that change chats: an engine, its runner and its report."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.operators.arguments import refused, whole_number
from airflow_provider_helpcrunch.operators.base import MAX_XCOM_BYTES
from airflow_provider_helpcrunch.operators.deferral import PATIENCE
from airflow_provider_helpcrunch.operators.resumable import ResumableOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_helpcrunch._airflow import Context, ObjectStoragePath
    from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
    from airflow_provider_helpcrunch.chats.results import Report, Result
    from airflow_provider_helpcrunch.exceptions import HelpCrunchPartialError
    from airflow_provider_helpcrunch.operators.chats.runner import Engine, ManyChanges, Runner
    from airflow_provider_helpcrunch.storage import Target


class ChatBulkOperator(ResumableOperator):
    """
    Base of the operators that change many chats.

    :param report_path: file for a record of each change, as ``output_path`` of the list operators. Default: none
    :param report_format: the format, such as ``jsonl.gz``, if the path's suffix names none. Default: by the suffix
    :param on_error: reaction to a change that fails: ``fail_at_end`` (make all others, then fail; the default),
        ``fail_fast`` or ``report`` (make all others, and succeed)
    :param max_xcom_bytes: largest list of changes that goes into the result, in bytes of JSON (1 MiB)
    :param deferrable: give the worker slot back while the account's rate limit is used up (Airflow's
        ``[operators] default_deferrable``)
    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param patience: longest time in seconds that one request may wait for the rate limit and for 429s (600)
    """

    template_fields: Sequence[str] = (
        *ResumableOperator.template_fields,
        "report_path",
        "report_format",
        "max_xcom_bytes",
    )

    # Set by check_arguments: finding out about a directory or bucket again could have another outcome.
    _report_target: Target | None

    def __init__(
        self,
        *,
        report_path: str | ObjectStoragePath | None = None,
        report_format: str | None = None,
        max_xcom_bytes: int | str = MAX_XCOM_BYTES,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.report_path = report_path
        self.report_format = report_format
        self.max_xcom_bytes = max_xcom_bytes

    @property
    def must_keep_progress(self) -> bool:
        """Whether the task stops when Airflow's state store fails, because a change must not be made twice."""
        return False

    def work(self) -> ManyChanges:
        """Check the arguments and return the work to be done."""
        raise NotImplementedError

    def engine(self, work: Any, checkpoint: Checkpoint) -> Engine:
        """
        Return the engine that continues from a checkpoint.

        :param work: the work that :meth:`work` returned
        :param checkpoint: progress so far
        """
        raise NotImplementedError

    def check_arguments(self) -> None:
        """
        Refuse wrong arguments before anything is sent or written.

        :raises HelpCrunchConfigurationError: an argument is wrong
        """
        super().check_arguments()
        whole_number("max_xcom_bytes", self.max_xcom_bytes, low=1, high=2**31)
        self._report_target = self._checked_target()

    def perform(self, context: Context) -> dict[str, Any]:
        """
        Do the work.

        :param context: the context of the task, from Airflow
        :return: how many changes were ``changed``, ``planned``, ``unchanged``, ``skipped``, ``left`` (nobody could take
            the chat), ``refused`` and ``failed``; ``chats``, a dictionary for each change (``None`` where they are
            larger than ``max_xcom_bytes``); ``requests``, how many were sent; and with ``report_path`` ``report``, the
            receipt of the file
        :raises HelpCrunchConfigurationError: an argument or the connection is wrong; nothing was written
        :raises HelpCrunchPartialError: some changes failed, and all others were made (``fail_at_end``)
        :raises HelpCrunchError: the work stopped; the log and the report list the changes made before
        """
        return super().perform(context)

    def runner(self, context: Context) -> Runner:
        """Return the runner of the work."""
        from airflow_provider_helpcrunch.chats.progress_store import ProgressStore
        from airflow_provider_helpcrunch.operators.chats.runner import Runner

        work = self.work()
        if work.dry_run:
            self.no_events()
        return Runner(
            self.helpcrunch_conn_id,
            work,
            ProgressStore(
                None if work.dry_run else context.get("task_state_store"),
                work.fingerprint,
                must_work=self.must_keep_progress,
            ),
            partial(self.engine, work),
            self._patience() or PATIENCE,
            fail_fast=self.on_error == "fail_fast",
            ask_inbox=self._report_target is not None,
            log=self.log,
        )

    def failure(self, runner: Runner) -> HelpCrunchPartialError | None:
        """Return an error that names the first changes that were not made; ``None`` if there are none."""
        from airflow_provider_helpcrunch.chats.results import Report

        failures = Report(runner.checkpoint.results.standing()).failures()
        return _partial(failures) if failures else None

    def reported(self, context: Context, runner: Runner) -> dict[str, Any]:
        """Write the report to the log and, with ``report_path``, to a file; return the result."""
        from airflow_provider_helpcrunch.chats.results import Report, in_words
        from airflow_provider_helpcrunch.plurals import counted

        report, names = Report(runner.checkpoint.results.standing(), runner.inbox), runner.engine.names
        counts, requests = {**report.counts(), **runner.engine.summary()}, runner.checkpoint.requests
        table = f"\n{report.table(names)}" if len(report) else ""
        words = in_words(counts, runner.engine.skipped_because)
        reasons = f". {report.reasons()}" if counts["left"] else ""
        self.log.info("%s; %s%s%s", words, counted(requests, "request"), reasons, table)
        result: dict[str, Any] = {**counts, "requests": requests, "chats": self._for_xcom(report)}
        if (target := self._report_target) is not None:
            receipt = {**target.write(report.rows(names, runner.engine.departments))}
            result["report"] = receipt
            self.attach_receipt(context, receipt)
        return result

    def _for_xcom(self, report: Report) -> list[dict[str, Any]] | None:
        """Return the changes as plain dictionaries; ``None`` if XCom cannot hold them."""
        from airflow_provider_helpcrunch.operators.xcom import unfit_for_xcom

        limit = whole_number("max_xcom_bytes", self.max_xcom_bytes, low=1, high=2**31)
        changes = [result._asdict() for result in report]
        problem = unfit_for_xcom(changes, limit)
        if problem is None:
            return changes
        self.log.warning(
            "%s: the list of changes %s, so the result has only the counts.",
            "See the report" if self.report_path is not None else "Set report_path to get them in a file",
            problem,
        )
        return None

    def report_stop(self, context: Context, runner: Runner, error: BaseException) -> None:
        """Report the changes made before an error. An error in reporting is only logged, or it would hide the first."""
        if not len(runner.checkpoint.results):
            return
        self.log.error("The work stopped (%s). Changes made before:", type(error).__name__)
        try:
            self.push(context, self.reported(context, runner))
        except Exception as second:
            self.log.error("The report could not be written: %s", second)

    def _checked_target(self) -> Target | None:
        """Return where the report goes, ``None`` if there is none; refuse a place that cannot be written to."""
        if self.report_path is None:
            if self.report_format is not None:
                msg = "report_format needs report_path: without it there is no file."
                raise refused(msg)
            return None
        from airflow_provider_helpcrunch.schema import CHANGES
        from airflow_provider_helpcrunch.storage import Target

        return Target.resolve(self.report_path, CHANGES, self.report_format, argument="report_format")


def _partial(failures: Sequence[Result]) -> HelpCrunchPartialError:
    from airflow_provider_helpcrunch.exceptions import HelpCrunchPartialError, HelpCrunchRefusedError

    refused_only = all(result.outcome == "refused" for result in failures)
    some = "; ".join(f"chat {result.id}: {result.error}" for result in failures[:3])
    more = f" … and {len(failures) - 3} more" if len(failures) > 3 else ""
    count = "1 change was" if len(failures) == 1 else f"{len(failures)} changes were"
    msg = f"{count} not made; the log has a table of all. {some}{more}"
    return (HelpCrunchRefusedError if refused_only else HelpCrunchPartialError)(msg)
