"""Base class of the operators that change chats: an engine, its runner and its report."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.operators.arguments import flag, record_id, refused, text, whole_number
from airflow_provider_helpcrunch.operators.base import MAX_XCOM_BYTES
from airflow_provider_helpcrunch.operators.deferral import PATIENCE
from airflow_provider_helpcrunch.operators.resumable import ResumableOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_helpcrunch._airflow import Context, ObjectStoragePath
    from airflow_provider_helpcrunch.chats.checkpoint import Checkpoint
    from airflow_provider_helpcrunch.chats.results import Report, Result
    from airflow_provider_helpcrunch.chats.rules import Rules
    from airflow_provider_helpcrunch.exceptions import HelpCrunchPartialError
    from airflow_provider_helpcrunch.operators.chats.runner import Engine, ManyChanges, Runner
    from airflow_provider_helpcrunch.storage import Target


MOST_CHATS = 10_000_000


class ChatBulkOperator(ResumableOperator):
    """
    Base of the operators that change many chats.

    :param max_per_agent: most open chats that an agent may have after getting one. Default: any number
    :param within_department: give a chat of a department only to its members (``False``)
    :param note: text of a private note to each chat that gets another agent, never sent twice. Default: none
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
    """

    template_fields: Sequence[str] = (
        *ResumableOperator.template_fields,
        "max_per_agent",
        "within_department",
        "note",
        "note_agent",
        "report_path",
        "report_format",
        "max_xcom_bytes",
    )
    arguments_that_name_results: Sequence[str] = ("report_path",)

    # Set by check_arguments: finding out about a directory or bucket again could have another outcome.
    _report_target: Target | None

    def __init__(
        self,
        *,
        max_per_agent: int | str | None = None,
        within_department: bool | str = False,
        note: str | None = None,
        note_agent: int | str | None = None,
        report_path: str | ObjectStoragePath | None = None,
        report_format: str | None = None,
        max_xcom_bytes: int | str = MAX_XCOM_BYTES,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_per_agent = max_per_agent
        self.within_department = within_department
        self.note = note
        self.note_agent = note_agent
        self.report_path = report_path
        self.report_format = report_format
        self.max_xcom_bytes = max_xcom_bytes

    @property
    def must_keep_progress(self) -> bool:
        """Whether the task stops when Airflow's state store fails: with notes, because none may be sent twice."""
        return self.note is not None

    def rules(self) -> Rules:
        """Check the arguments about who may get a chat, and about notes; return them."""
        from airflow_provider_helpcrunch.chats.rules import Rules

        if self.note_agent is not None and self.note is None:
            msg = "note_agent needs note: without it there is nothing to sign."
            raise refused(msg)
        most = self.max_per_agent
        return Rules(
            most_open=None if most is None else whole_number("max_per_agent", most, low=1, high=MOST_CHATS),
            within_department=flag("within_department", self.within_department),
            note=None if self.note is None else text("note", self.note),
            note_agent=None if self.note_agent is None else record_id("note_agent", self.note_agent),
        )

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
            the chat), ``refused`` and ``failed``; how many ``notes`` are in their chats, and ``notes_missing``;
            ``chats``, a dictionary for each change (``None`` where they are larger than ``max_xcom_bytes``);
            ``requests``, how many were sent; and with ``report_path`` ``report``, the receipt of the file
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
        """Return an error that names the first changes that were not made, and notes; ``None`` if there are none."""
        from airflow_provider_helpcrunch.chats.results import Report

        failures = Report(runner.checkpoint.results.standing()).failures()
        return _partial(failures) if failures else None

    def reported(self, context: Context, runner: Runner) -> dict[str, Any]:
        """Write the report to the log and, with ``report_path``, to a file; return the result."""
        from airflow_provider_helpcrunch.chats.results import Report, in_words
        from airflow_provider_helpcrunch.log_tables import log_table
        from airflow_provider_helpcrunch.plurals import counted

        report, names = Report(runner.checkpoint.results.standing(), runner.inbox), runner.engine.names
        counts, requests = {**report.counts(), **runner.engine.summary()}, runner.checkpoint.requests
        words = in_words(counts, runner.engine.skipped_because)
        reasons = f"\n{report.reasons()}" if counts["left"] else ""
        self.log.info("%s; %s%s", words, counted(requests, "request"), reasons)
        self._warn_of_unknown_notes(context, runner)
        if len(report):
            log_table(self.log, counted(len(report), "result"), report.table(names))
        result: dict[str, Any] = {**counts, "requests": requests, "chats": self._for_xcom(report)}
        if (target := self._report_target) is not None:
            receipt = {**target.write(report.rows(names, runner.engine.departments))}
            result["report"] = receipt
            self.attach_receipt(context, receipt)
        return result

    def _warn_of_unknown_notes(self, context: Context, runner: Runner) -> None:
        """Say that notes may be missing of which nothing is known, where an earlier try has left no trace."""
        number = getattr(context.get("ti"), "try_number", 1)
        if self.note is not None and number > 1 and not runner.knows_earlier_tries:
            self.log.warning(
                "This is try %d, and without Airflow's state store (3.3 and newer) nothing is known of the chats that "
                "earlier tries have moved: they may be without their note, and notes_missing does not count them. The "
                "logs of these tries name them, unless their workers were killed.",
                number,
            )

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
    from airflow_provider_helpcrunch.exceptions import (
        HelpCrunchNotesMissingError,
        HelpCrunchPartialError,
        HelpCrunchRefusedError,
    )

    lost = [result for result in failures if result.is_lost_note]
    others = [result for result in failures if not result.is_lost_note]
    sentences = ([_not_made(others)] if others else []) + ([_without_note(lost)] if lost else [])
    # What is refused, and what must not be sent again, would only fail again.
    kind = HelpCrunchPartialError
    if all(result.outcome == "refused" for result in others):
        kind = HelpCrunchRefusedError if others else HelpCrunchNotesMissingError
    return kind(" ".join(sentences))


def _not_made(failures: Sequence[Result]) -> str:
    some = "; ".join(f"chat {result.id}: {result.error}" for result in failures[:3])
    more = f" … and {len(failures) - 3} more" if len(failures) > 3 else ""
    count = "1 change was" if len(failures) == 1 else f"{len(failures)} changes were"
    return f"{count} not made; the log has a table of all. {some}{more}"


def _without_note(lost: Sequence[Result]) -> str:
    from airflow_provider_helpcrunch.plurals import named

    chats = (
        "1 chat was moved without its note"
        if len(lost) == 1
        else f"{len(lost)} chats were moved without their note"
    )
    return (
        f"{chats}, which may have been sent and is not there: {named([result.id for result in lost])}. It is not sent "
        "again, because it must never be there twice. Look at them, and write the note by hand."
    )
