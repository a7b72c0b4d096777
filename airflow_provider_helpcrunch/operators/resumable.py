"""Base class of the operators whose work can be interrupted: run, wait or defer, report, and fail at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_helpcrunch._airflow import conf
from airflow_provider_helpcrunch.operators.arguments import choice, flag
from airflow_provider_helpcrunch.operators.base import WRITES_COLOR, HelpCrunchOperator
from airflow_provider_helpcrunch.operators.deferral import defer_for, if_it_fits, wait_in_slot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_helpcrunch._airflow import Context
    from airflow_provider_helpcrunch.exceptions import HelpCrunchError

ON_ERROR = ("fail_at_end", "fail_fast", "report")


class ResumableRunner(Protocol):
    """Runs the work of a task, and can stop between any two steps."""

    @property
    def earlier(self) -> int:
        """Number of steps that earlier tries have made; known after :meth:`load`."""

    def load(self) -> None:
        """Continue after what earlier tries of the task have done."""

    def resume(self, state: dict[str, Any]) -> None:
        """Continue from the state of another runner, which was deferred."""

    def state(self) -> dict[str, Any]:
        """Return the state for a deferral, as plain JSON."""

    def until_spent(self) -> float | None:
        """Run until all is done (``None``), or return the seconds after which it is worthwhile to continue."""

    def clear(self) -> None:
        """Forget what a retry would need: the task is done."""


class ResumableOperator(HelpCrunchOperator):
    """
    Base of the operators that change much, step by step.

    A subclass makes its runner with :meth:`runner`, and reports with :meth:`reported`, :meth:`report_stop` and
    :meth:`failure`.

    :param on_error: reaction to a change that fails: ``fail_at_end`` (make all others, then fail; the default),
        ``fail_fast`` or ``report`` (make all others, and succeed)
    :param deferrable: give the worker slot back while the account's rate limit is used up (Airflow's
        ``[operators] default_deferrable``)
    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param patience: longest time in seconds that one request may wait for the rate limit and for 429s (600)
    """

    ui_color = WRITES_COLOR
    template_fields: Sequence[str] = (*HelpCrunchOperator.template_fields, "on_error")
    earlier_in_words = "Changes made by earlier tries of this task: %d."

    def __init__(
        self,
        *,
        on_error: str = "fail_at_end",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.on_error = on_error
        self.deferrable = deferrable

    def check_arguments(self) -> None:
        """
        Refuse wrong arguments before anything is sent or written.

        :raises HelpCrunchConfigurationError: an argument is wrong
        """
        super().check_arguments()
        choice("on_error", self.on_error, ON_ERROR)
        flag("deferrable", self.deferrable)

    def runner(self, context: Context) -> Any:
        """
        Return the runner of the work, a :class:`ResumableRunner`.

        :param context: the context of the task, from Airflow
        """
        raise NotImplementedError

    def reported(self, context: Context, runner: Any) -> dict[str, Any]:
        """
        Write the report to the log and to files; return the task's result.

        :param context: the context of the task, from Airflow
        :param runner: the runner, which has done what it could
        """
        raise NotImplementedError

    def report_stop(self, context: Context, runner: Any, error: BaseException) -> None:
        """
        Report what was done before an error, without raising another one.

        :param context: the context of the task, from Airflow
        :param runner: the runner
        :param error: the error
        """
        raise NotImplementedError

    def failure(self, runner: Any) -> HelpCrunchError | None:
        """
        Return the error with which the task fails at the end; ``None`` if all went well.

        :param runner: the runner, which has done what it could
        """
        raise NotImplementedError

    def perform(self, context: Context) -> dict[str, Any]:
        """
        Do the work.

        :param context: the context of the task, from Airflow
        :return: see the class
        :raises HelpCrunchConfigurationError: an argument or the connection is wrong; nothing was written
        :raises HelpCrunchPartialError: some changes failed, and all others were made (``fail_at_end``)
        :raises HelpCrunchError: the work stopped; a retry goes on
        """
        runner = self.runner(context)
        runner.load()
        if runner.earlier:
            self.log.info(self.earlier_in_words, runner.earlier)
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

    def no_events(self) -> None:
        """
        Let Airflow emit no event for the outlets of a dry run.

        An event would start the DAGs scheduled on the outlet although nothing changed. The operator object belongs to
        this run alone, so it may be changed.
        """
        self.outlets = []

    def push(self, context: Context, result: dict[str, Any]) -> None:
        """
        Push the result to XCom although the task fails; Airflow does it only when a task succeeds.

        :param context: the context of the task, from Airflow
        :param result: the task's result
        """
        instance = context.get("ti")
        if instance is None or not self.do_xcom_push:
            return
        for key, value in result.items() if self.multiple_outputs else ():
            instance.xcom_push(key=key, value=value)
        instance.xcom_push(key="return_value", value=result)

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
        runner = self.runner(context)
        runner.resume(event)
        return self._go_on(context, runner)

    def _go_on(self, context: Context, runner: ResumableRunner) -> dict[str, Any]:
        state = None
        try:
            # Ends with all work done, or with a state to defer; without one the task waits here, in its slot.
            while (seconds := runner.until_spent()) is not None and (state := self._state(runner)) is None:
                wait_in_slot(seconds, self.log)
        # Also when the task is killed or times out: something was changed, and the log must say what.
        except BaseException as error:
            self.report_stop(context, runner, error)
            raise
        # Outside the try: Airflow's defer() raises, and that is not a failure to report.
        if seconds is not None and state is not None:
            defer_for(self, seconds, state)
        result = self.reported(context, runner)
        # What a retry needs is kept on failure: it goes on from it.
        if self.on_error != "report" and (failure := self.failure(runner)) is not None:
            self.push(context, result)
            raise failure
        runner.clear()
        return result

    def _state(self, runner: ResumableRunner) -> dict[str, Any] | None:
        """Return the state for a deferral; ``None`` if the task is not deferrable, or its state is too large."""
        return if_it_fits(runner.state(), self.log) if flag("deferrable", self.deferrable) else None
