"""Operator that writes customers back: it creates those who are missing, and changes what differs in the others."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.operators.arguments import choice, flag, names, refused
from airflow_provider_helpcrunch.operators.deferral import PATIENCE
from airflow_provider_helpcrunch.operators.record_source import RecordSource
from airflow_provider_helpcrunch.operators.resumable import ResumableOperator
from airflow_provider_helpcrunch.plurals import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_helpcrunch._airflow import Context, ObjectStoragePath
    from airflow_provider_helpcrunch.customers.rejects import Rejects
    from airflow_provider_helpcrunch.customers.survey import Survey
    from airflow_provider_helpcrunch.customers.upsert import Options
    from airflow_provider_helpcrunch.exceptions import HelpCrunchPartialError
    from airflow_provider_helpcrunch.operators.upsert_runner import UpsertRunner


class UpsertCustomersOperator(ResumableOperator):
    """
    Create customers, or change what differs in those who are there.

    .. code-block:: python

        UpsertCustomersOperator(
            task_id="write_back",
            customers="s3://my_aws@lake/customers/{{ ds }}.csv",
            key="userId",
            rejects_path="s3://my_aws@lake/customers/rejects-{{ ds }}.csv",
        )

    Each customer is found by its key and compared with the row. One who is not there is created; of one who is there
    only the fields that differ are sent (``PATCH``), and tags that are missing are added; where nothing differs,
    nothing is sent. So a task that runs again writes nothing twice. On Airflow 3.3 and newer a retry also goes on where
    the try before stopped.

    The whole input is read and checked before anything is sent. Then 50 customers are looked up with each request, and
    each change takes one: *n* customers of whom *m* differ take about ``n / 50 + m`` requests, and one more for each
    who also gets tags beside other fields. 5,000 customers take 101 requests if nothing differs, which is under a
    minute, and 5,101 or 43 minutes if everything does. Of the input, memory holds a hash of each key and 50 rows.

    A row that cannot be applied does not stop the others. It is ``refused`` if a value does not fit, if HelpCrunch
    refuses it (400, 404), if several customers have its key, or if several rows do; it is ``failed`` if no usable
    response came, even when it was tried again at the end. Both are in the file at ``rejects_path``, with an ``error``
    each. Mend the rows and give the file as ``customers``: its ``error`` column is ignored. In CSV and Parquet a value
    that was refused for its type comes after ``#VALUE!``, and is refused again until it is mended. Three rows in a row
    without a usable response stop the task: HelpCrunch is down.

    HelpCrunch may accept a field and yet show another value, which would be sent again in each run: it may ignore
    ``city``, ``regionCode`` and ``countryCode``, which newer documentation has as read-only, and fields that an account
    does not show, or write a value its own way. That is no failure: the log names the row and the fields, and the
    result counts them. A field that was ignored for three customers in a row is not sent for the others.

    A ``POST`` whose response is lost may have created the customer, so the key is looked up again before it is
    repeated. HelpCrunch refuses a ``userId`` that another customer has, which makes it the safest key. Two customers
    may have the same email address: one who was created twice, for example, because HelpCrunch's search was late.

    The log names rows by their numbers and customers by their ids. But a list in ``customers`` is in Airflow's database
    and in its view of rendered templates, so prefer a file. All arguments but ``deferrable`` are templated.

    :param customers: records with the key and the fields to set, by their names in the API (those of
        ``HelpCrunchClient.update_customer``): a list, its JSON text, or a file in any of our formats: its path, an
        ``ObjectStoragePath`` or a receipt, such as that of ``ListCustomersOperator``. ``tags`` are added (a list, or
        text with commas); ``customData`` is an object, in CSV and Parquet as JSON text, and attributes that it does not
        name are kept. ``None`` or an empty text clears a field or an attribute; in CSV and Parquet an empty cell leaves
        it as it is. A row with a hash of the argument ``hash`` is refused.
        ``id``, unless it is the key, must be that of the customer found. ``location``, ``device`` and ``error`` are
        ignored; any other name is refused. An empty list is no error
    :param key: the field by which customers are found: ``userId`` (the default), ``email`` (without regard to case) or
        ``id``, with which none is created
    :param add_tags: names of tags for every customer: a list, or text with commas. Default: none
    :param remove_tags: names of tags that no customer is to keep, even if its row has them. Default: none
    :param create_missing: create customers who are not there; ``False``: their rows are refused (``True``)
    :param rejects_path: file for the rows that were not applied, as ``output_path`` of the list operators; without any
        it is written empty. Default: none
    :param rejects_format: the format, such as ``jsonl.gz``, if the path's suffix names none. Default: by the suffix
    :param on_error: reaction to a row that cannot be applied: ``fail_at_end`` (apply all others, then fail; the
        default), ``fail_fast`` or ``report`` (apply all others, and succeed)
    :param dry_run: write nothing, and say in the log what would be written (``False``). Outlet assets get no event
    :param deferrable: give the worker slot back while the account's rate limit is used up (Airflow's
        ``[operators] default_deferrable``)
    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param patience: longest time in seconds that one request may wait for the rate limit and for 429s (600)

    API: https://docs.helpcrunch.com/rest-api-v1/create-customer-v1 and
    https://docs.helpcrunch.com/rest-api-v1/update-customer-v1
    """

    template_fields: Sequence[str] = (
        *ResumableOperator.template_fields,
        "customers",
        "key",
        "add_tags",
        "remove_tags",
        "create_missing",
        "rejects_path",
        "rejects_format",
        "is_dry_run",
    )
    arguments_that_name_results: Sequence[str] = ("rejects_path",)
    earlier_in_words = "Rows applied by earlier tries of this task: %d."
    arguments_that_may_be_empty: Sequence[str] = ("customers",)  # a task upstream found nothing to write

    # Set by check_arguments: the input is read once for its survey, and a place is looked at once.
    _source: RecordSource
    _survey: Survey
    _rejects: Rejects | None

    def __init__(
        self,
        *,
        customers: Any,
        key: str = "userId",
        add_tags: Sequence[str] | str | None = None,
        remove_tags: Sequence[str] | str | None = None,
        create_missing: bool | str = True,
        rejects_path: str | ObjectStoragePath | None = None,
        rejects_format: str | None = None,
        dry_run: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.customers = customers
        self.key = key
        self.add_tags = add_tags
        self.remove_tags = remove_tags
        self.create_missing = create_missing
        self.rejects_path = rejects_path
        self.rejects_format = rejects_format
        # Not "dry_run": that is a method of every Airflow operator.
        self.is_dry_run = dry_run

    def check_arguments(self) -> None:
        """
        Refuse wrong arguments before anything is sent or written; read the input.

        :raises HelpCrunchConfigurationError: an argument is wrong
        :raises HelpCrunchStorageError: the file of customers cannot be read
        """
        from airflow_provider_helpcrunch.customers.survey import Survey

        super().check_arguments()
        options = self._options()
        self._rejects = self._checked_rejects()
        self._source = RecordSource.of("customers", self.customers)
        if self._rejects is not None and self._rejects.path == self._source.path:
            msg = "rejects_path is the file of customers itself, which would be lost: choose another path."
            raise refused(msg)
        self._survey = Survey.of(self._source, options.key)
        if self._rejects is not None:
            self._rejects.refuse_loss(self._survey)

    def perform(self, context: Context) -> dict[str, Any]:
        """
        Write the customers.

        :param context: the context of the task, from Airflow; the events of outlet assets get the result
        :return: how many rows were ``created``, ``updated``, ``unchanged``, ``planned``, ``refused`` and ``failed``;
            ``not_kept``, in how many HelpCrunch did not keep a field, and ``fields_not_kept``, the names of these
            fields; ``requests``, how many were sent; and with ``rejects_path`` ``rejects``, the receipt of the file
        :raises HelpCrunchConfigurationError: an argument or the connection is wrong; nothing was sent or written
        :raises HelpCrunchPartialError: some rows were not applied, and all others were (``fail_at_end``)
        :raises HelpCrunchError: the work stopped; a retry goes on
        """
        return super().perform(context)

    def runner(self, context: Context) -> UpsertRunner:
        """Return the runner of the work."""
        from airflow_provider_helpcrunch.customers.progress_store import ProgressStore
        from airflow_provider_helpcrunch.operators.upsert_runner import UpsertRunner

        options = self._options()
        if options.dry_run:
            self.no_events()
        fingerprint = self._fingerprint()
        return UpsertRunner(
            self.helpcrunch_conn_id,
            self._source,
            self._survey,
            options,
            ProgressStore(None if options.dry_run else context.get("task_state_store"), fingerprint),
            float(self._patience() or PATIENCE),
            fail_fast=self.on_error == "fail_fast",
            fingerprint=fingerprint,
            log=self.log,
        )

    def failure(self, runner: UpsertRunner) -> HelpCrunchPartialError | None:
        """Return an error that names the first rows that were not applied; ``None`` if there are none."""
        return _partial(runner) if runner.progress.errors else None

    def report_stop(self, context: Context, runner: UpsertRunner, error: BaseException) -> None:
        """Say in the log how many customers were written before an error."""
        if runner.requests:
            self.log.error("The work stopped (%s) after: %s", type(error).__name__, _in_words(runner))

    def reported(self, context: Context, runner: UpsertRunner) -> dict[str, Any]:
        """Write the counts to the log and the rejects to their file; return the result."""
        self.log.info(_in_words(runner))
        result: dict[str, Any] = {
            **runner.progress.counts(),
            "not_kept": runner.progress.not_kept,
            "fields_not_kept": sorted(runner.progress.fields_not_kept),
            "requests": runner.requests,
        }
        if self._rejects is not None:
            receipt = self._rejects.write(self._source, self._survey.columns, runner.progress.errors)
            result["rejects"] = {**receipt}
        self.attach_receipt(context, result)
        return result

    def _options(self) -> Options:
        from airflow_provider_helpcrunch.client.customer_fields import tag_names
        from airflow_provider_helpcrunch.customers.rows import KEYS
        from airflow_provider_helpcrunch.customers.upsert import Options

        add_tags, remove_tags = (
            tuple({"name": tag} for tag in sorted(names(name, given, selects=False)))
            if given is not None
            else ()
            for name, given in (("add_tags", self.add_tags), ("remove_tags", self.remove_tags))
        )
        if both := sorted(tag_names(add_tags) & tag_names(remove_tags)):
            msg = f"add_tags and remove_tags both name {quoted(both[0])}: a tag can be added or removed, not both."
            raise refused(msg)
        return Options(
            key=choice("key", self.key, KEYS),
            add_tags=add_tags,
            remove_tags=remove_tags,
            create_missing=flag("create_missing", self.create_missing),
            dry_run=flag("dry_run", self.is_dry_run),
        )

    def _fingerprint(self) -> str:
        """Return a short hash of the work: equal only for the same rows, applied in the same way."""
        written = repr((self._survey.fingerprint, self._options()))
        return hashlib.sha256(written.encode()).hexdigest()[:12]

    def _checked_rejects(self) -> Rejects | None:
        """Return where the rejects go, ``None`` if nowhere; refuse a place that cannot be written to."""
        if self.rejects_path is None:
            if self.rejects_format is not None:
                msg = "rejects_format needs rejects_path: without it there is no file."
                raise refused(msg)
            return None
        from airflow_provider_helpcrunch.customers.rejects import Rejects

        return Rejects(self.rejects_path, self.rejects_format)


def _in_words(runner: UpsertRunner) -> str:
    from airflow_provider_helpcrunch.plurals import counted

    progress = runner.progress
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in progress.counts().items() if count)
    fields = ", ".join(sorted(progress.fields_not_kept))
    not_kept = f"; HelpCrunch did not keep {fields} in {counted(progress.not_kept, 'row')}" if fields else ""
    return f"Customers: {counts or 'none'}{not_kept}; {counted(runner.requests, 'request')}"


def _partial(runner: UpsertRunner) -> HelpCrunchPartialError:
    from airflow_provider_helpcrunch.exceptions import HelpCrunchPartialError, HelpCrunchRefusedError
    from airflow_provider_helpcrunch.plurals import counted

    numbers = sorted(runner.progress.errors)
    first, more = (
        ", ".join(map(str, numbers[:10])),
        f" and {len(numbers) - 10:,} more" if len(numbers) > 10 else "",
    )
    msg = (
        f"{counted(len(numbers), 'row')} of customers could not be applied: {first}{more}. The log says why."
    )
    is_permanent = not runner.progress.counts()["failed"]
    return (HelpCrunchRefusedError if is_permanent else HelpCrunchPartialError)(msg)
