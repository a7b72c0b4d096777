"""Base class of the operators that change chats: run an engine, defer, report."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch._airflow import conf
from airflow_provider_helpcrunch.operators.arguments import choice, flag, refused, whole_number
from airflow_provider_helpcrunch.operators.base import MAX_XCOM_BYTES, WRITES_COLOR, HelpCrunchOperator
from airflow_provider_helpcrunch.operators.deferral import PATIENCE, defer_for, if_it_fits, wait_in_slot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_helpcrunch._airflow import Context, ObjectStoragePath
    from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
    from airflow_provider_helpcrunch.chats.results import Report, Result
    from airflow_provider_helpcrunch.exceptions import HelpCrunchPartialError
    from airflow_provider_helpcrunch.operators.chats.runner import Engine, ManyChanges, Runner
    from airflow_provider_helpcrunch.storage import Target

ON_ERROR = ("fail_at_end", "fail_fast", "report")


class ChatBulkOperator(HelpCrunchOperator):
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

    ui_color = WRITES_COLOR
    template_fields: Sequence[str] = (
        *HelpCrunchOperator.template_fields,
        "report_path",
        "report_format",
        "on_error",
        "max_xcom_bytes",
    )

    # Set by check_arguments: finding out about a directory or bucket again could have another outcome.
    _report_target: Target | None

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
        choice("on_error", self.on_error, ON_ERROR)
        flag("deferrable", self.deferrable)
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
        runner = self._prepared(context)
        runner.load()
        if earlier := runner.checkpoint.results.earlier:
            self.log.info("Changes made by earlier tries of this task: %d.", earlier)
        return self._go_on(context, runner)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Continue after a deferral.

        :param context: the context of the task, from Airflow
        :param event: the event of the trigger: the state that the task had when it was deferred
        :return: see :meth:`perform`
        :raises HelpCrunchError: the event is missing, the work has changed since, or see :meth:`perform`
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
        # Another process, perhaps on another worker: nothing that was checked before the deferral holds here.
        self.check_arguments()
        runner = self._prepared(context)
        runner.resume(event)
        return self._go_on(context, runner)

    def _prepared(self, context: Context) -> Runner:
        from airflow_provider_helpcrunch.chats.progress_store import ProgressStore
        from airflow_provider_helpcrunch.operators.chats.runner import Runner

        work = self.work()
        if work.dry_run:
            # Airflow emits an event for each outlet of a task that succeeds, which would start the DAGs scheduled on
            # it although nothing changed. The operator object belongs to this run alone, so it may be changed.
            self.outlets = []
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

    def _go_on(self, context: Context, runner: Runner) -> dict[str, Any]:
        from airflow_provider_helpcrunch.chats.results import Report

        state = None
        try:
            # Ends with all work done, or with a state to defer; without one the task waits here, in its slot.
            while (seconds := runner.until_spent()) is not None and (state := self._state(runner)) is None:
                wait_in_slot(seconds, self.log)
        # Also when the task is killed or times out: chats were changed, and the log must say which.
        except BaseException as error:
            self._report_failure(context, runner, error)
            raise
        # Outside the try: Airflow's defer() raises, and that is not a failure to report.
        if seconds is not None and state is not None:
            defer_for(self, seconds, state)
        results = runner.checkpoint.results
        result = self._reported(context, runner)
        failures = Report(results.standing()).failures()
        # The progress store is kept on failure: the retry goes on from it.
        if failures and self.on_error != "report":
            self._push(context, result)
            raise _partial(failures)
        runner.store.clear(results)
        return result

    def _state(self, runner: Runner) -> dict[str, Any] | None:
        """Return the state for a deferral; ``None`` if the task is not deferrable, or its state is too large."""
        return if_it_fits(runner.state(), self.log) if flag("deferrable", self.deferrable) else None

    def _reported(self, context: Context, runner: Runner) -> dict[str, Any]:
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

    def _report_failure(self, context: Context, runner: Runner, error: BaseException) -> None:
        """Report the changes made before an error. An error in reporting is only logged, or it would hide the first."""
        if not len(runner.checkpoint.results):
            return
        self.log.error("The work stopped (%s). Changes made before:", type(error).__name__)
        try:
            self._push(context, self._reported(context, runner))
        except Exception as second:
            self.log.error("The report could not be written: %s", second)

    def _push(self, context: Context, result: dict[str, Any]) -> None:
        """Push the result to XCom although the task fails; Airflow does it only when a task succeeds."""
        instance = context.get("ti")
        if instance is None or not self.do_xcom_push:
            return
        for key, value in result.items() if self.multiple_outputs else ():
            instance.xcom_push(key=key, value=value)
        instance.xcom_push(key="return_value", value=result)

    def _checked_target(self) -> Target | None:
        """Return where the report goes, ``None`` if there is none; refuse a place that cannot be written to."""
        if self.report_path is None:
            if self.report_format is not None:
                msg = "report_format needs report_path: without it there is no file."
                raise refused(msg)
            return None
        from airflow_provider_helpcrunch.schema import CHANGES
        from airflow_provider_helpcrunch.storage import Target

        return Target.resolve(self.report_path, CHANGES, self.report_format)


def _partial(failures: Sequence[Result]) -> HelpCrunchPartialError:
    from airflow_provider_helpcrunch.exceptions import HelpCrunchPartialError, HelpCrunchRefusedError

    refused_only = all(result.outcome == "refused" for result in failures)
    some = "; ".join(f"chat {result.id}: {result.error}" for result in failures[:3])
    more = f" … and {len(failures) - 3} more" if len(failures) > 3 else ""
    count = "1 change was" if len(failures) == 1 else f"{len(failures)} changes were"
    msg = f"{count} not made; the log has a table of all. {some}{more}"
    return (HelpCrunchRefusedError if refused_only else HelpCrunchPartialError)(msg)
