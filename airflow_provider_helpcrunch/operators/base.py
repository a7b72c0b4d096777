"""Base classes of the operators."""

from __future__ import annotations

import contextlib
import inspect
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Self, TypeVar

from airflow_provider_helpcrunch._airflow import BaseOperator
from airflow_provider_helpcrunch.operators.arguments import refused, whole_number
from airflow_provider_helpcrunch.operators.privacy import chosen_privacy, hidden
from airflow_provider_helpcrunch.operators.rendered import (
    missing_arguments,
    text_without_template,
    written_in_mapped,
)

# HTTP, Arrow and the hook are imported where they are used: parsing a DAG file must cost next to nothing.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_provider_helpcrunch._airflow import Context, ObjectStoragePath
    from airflow_provider_helpcrunch.client import HelpCrunchClient, Listing
    from airflow_provider_helpcrunch.client.pagination import ActivityListing
    from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook
    from airflow_provider_helpcrunch.privacy import Privacy
    from airflow_provider_helpcrunch.schema import Record, Table
    from airflow_provider_helpcrunch.storage import Target

T = TypeVar("T")

DEFAULT_CONN_ID = "helpcrunch_default"
WRITES_COLOR = "#fdebd8"
"""Color in the graph of Airflow 2 of operators that change the account; others are blue."""

DOCS = frozenset({"doc", "doc_json", "doc_md", "doc_rst", "doc_yaml"})
"""Airflow's arguments for the documentation of a task, which its user interface shows. Without any of them, that is the
first paragraph about the operator."""

MAX_XCOM_BYTES = 1024 * 1024
LONGEST_PATIENCE = 7 * 86_400


class HelpCrunchOperator(BaseOperator):
    """
    Base of all operators: connection and longest wait of a request.

    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param patience: longest time in seconds that one request may wait for the rate limit and for 429s (600)
    """

    ui_color = "#e3f1fc"
    template_fields: Sequence[str] = ("helpcrunch_conn_id", "patience")
    arguments_that_may_be_empty: Sequence[str] = ()
    arguments_that_name_results: Sequence[str] = ()

    _given: dict[str, Any]
    _written: dict[str, Any]

    def __new__(cls, *_: Any, **given: Any) -> Self:
        """
        Remember the arguments as they were given: see :meth:`_refuse_missing_arguments`.

        Airflow wraps ``__init__`` of each class, and adds ``default_args`` and its own arguments on the way. Only here
        are the arguments still those of the caller: of a DAG file, or of Airflow when it unmaps a mapped task.
        """
        operator = super().__new__(cls)
        operator.__dict__["_given"] = given
        return operator

    def __init__(
        self,
        *,
        helpcrunch_conn_id: str = DEFAULT_CONN_ID,
        patience: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        if DOCS.isdisjoint({*kwargs, *(kwargs.get("default_args") or ())}):
            kwargs["doc_md"] = _first_paragraph(type(self))
        super().__init__(**kwargs)
        # Moved behind Airflow's own attributes: a deep copy sets attributes in this order, and Airflow 2.11 needs its
        # own to be there before any other is set.
        self._given = self.__dict__.pop("_given")
        self.helpcrunch_conn_id = helpcrunch_conn_id
        self.patience = patience

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """
        Render the templated arguments, and remember their values before.

        :param context: the context of the task, from Airflow
        :param jinja_env: the Jinja environment; default: that of the DAG
        """
        self._written = self._templated()
        super().render_template_fields(context, jinja_env)

    def render_template(
        self, content: Any, context: Context, jinja_env: Any = None, seen_oids: set[int] | None = None
    ) -> Any:
        """
        Render a value, but leave a text as it is that has no template in it.

        With ``render_template_as_native_obj``, Airflow reads every text as Python: the phone number ``+380441234567``
        would become 380441234567, the name ``1_000`` the number 1000, and ``'Hi'`` lose its quotes.

        :param content: the value, and what is inside of it
        :param context: the context of the task, from Airflow
        :param jinja_env: the Jinja environment; default: that of the DAG
        :param seen_oids: ids of objects that are rendered already
        :return: the rendered value
        """
        environment = jinja_env or self.get_template_env()
        # What a mapped task got from upstream counts as rendered: not even its line ends may change.
        if isinstance(content, str) and id(content) not in (seen_oids or ()):
            text = text_without_template(content, environment)
            if text is not None:
                return text
        return super().render_template(content, context, environment, seen_oids)

    def execute(self, context: Context) -> Any:
        """
        Check all arguments, then do the work.

        :param context: the context of the task, from Airflow
        :return: see the class
        :raises HelpCrunchConfigurationError: an argument or the connection is wrong; nothing was sent or written
        :raises HelpCrunchError: the work failed
        """
        return self._without_frames(self._start, context)

    def check_arguments(self) -> None:
        """
        Refuse wrong arguments before anything is sent or written. Subclasses extend this with their own.

        :raises HelpCrunchConfigurationError: an argument is wrong
        """
        self._refuse_missing_arguments()
        self._patience()

    def perform(self, context: Context) -> Any:
        """
        Do the work; the arguments have been checked.

        :param context: the context of the task, from Airflow
        :return: what the task returns
        """
        raise NotImplementedError

    def _start(self, context: Context) -> Any:
        self.check_arguments()
        self._refuse_shared_result(context)
        return self.perform(context)

    def _without_frames(self, work: Callable[..., T], *arguments: Any) -> T:
        """
        Do some work, and raise this package's permanent errors without their traceback.

        Such an error is expected (a wrong key, a wrong argument), and its message says what to do. A traceback through
        the HTTP libraries would bury that sentence in the task's log, so it is logged at DEBUG instead.
        """
        from airflow_provider_helpcrunch._airflow import AirflowFailException
        from airflow_provider_helpcrunch.exceptions import HelpCrunchError

        try:
            return work(*arguments)
        except HelpCrunchError as error:
            if not isinstance(error, AirflowFailException):
                raise
            self.log.debug("Where the error below was raised:", exc_info=True)
            brief = error.with_traceback(None)
        raise brief from None

    def _templated(self) -> dict[str, Any]:
        return {name: getattr(self, name, None) for name in self.template_fields}

    def _refuse_missing_arguments(self) -> None:
        rendered = self._templated()
        for field in missing_arguments(
            self._as_written(rendered), rendered, may_be_empty=self.arguments_that_may_be_empty
        ):
            name = field.removeprefix("is_")
            msg = (
                f"{name} was rendered to {rendered[field]!r}: the template or upstream task behind it gave no value. "
                "Give it one, or leave the argument out to get its default."
            )
            raise refused(msg)

    def _refuse_shared_result(self, context: Context) -> None:
        """Refuse a path without a template in a mapped task: each would replace the results of the others."""
        # The first of them may be the only one.
        if getattr(context.get("ti"), "map_index", -1) < 1:
            return
        written = getattr(self._in_dag(), "partial_kwargs", None) or getattr(self, "_written", {})
        for name in self.arguments_that_name_results:
            path = written.get(name)
            # Anything but a text or a path is from upstream.
            is_path = isinstance(path, (str, PurePath)) or hasattr(path, "storage_options")
            if is_path and text_without_template(str(path), self.get_template_env()) is not None:
                msg = (
                    f"{name} is the same for all mapped tasks, and each would replace the results of the others: put "
                    "{{ ti.map_index }} into it."
                )
                raise refused(msg)

    def _in_dag(self) -> Any:
        """Return the task as it stands in its DAG, which for a mapped task is the mapped operator."""
        return self.dag.task_dict.get(self.task_id) if self.has_dag() else None  # type: ignore[no-untyped-call]

    def _as_written(self, rendered: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments as they stand in the DAG file."""
        original = self._in_dag()
        if hasattr(original, "partial_kwargs"):
            given = {field: field.removeprefix("is_") for field in rendered}
            written = written_in_mapped(original, self._given, given.values())
            return {field: written.get(name, rendered[field]) for field, name in given.items()}
        return getattr(self, "_written", rendered)

    @cached_property
    def hook(self) -> HelpCrunchHook:
        """The hook of ``helpcrunch_conn_id``."""
        from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook

        return HelpCrunchHook(self.helpcrunch_conn_id, patience=self._patience())

    def _patience(self) -> int | None:
        if self.patience is None:
            return None
        return whole_number("patience", self.patience, low=1, high=LONGEST_PATIENCE)

    def attach_receipt(self, context: Context, receipt: dict[str, Any]) -> None:
        """
        Attach the receipt to the events of the task's outlet assets.

        :param context: the context of the task, from Airflow
        :param receipt: the receipt of the file
        """
        from airflow_provider_helpcrunch._airflow import Asset

        events = context.get("outlet_events")
        for outlet in self.outlets or ():
            if events is not None and isinstance(outlet, Asset):
                events[outlet].extra = receipt


def _first_paragraph(operator: type) -> str:
    return (inspect.getdoc(operator) or "").partition("\n\n")[0]


class HelpCrunchRecordsOperator(HelpCrunchOperator):
    """
    Base of the operators that move records out of the account, with the choice of what leaves it.

    :param columns: names of the columns to keep, or of those to leave out with ``-`` before each, such as
        ``-customer.email``: see :mod:`airflow_provider_helpcrunch.privacy`. Default: all
    :param hash: names of columns whose values are replaced by hashes, such as ``customer.email``. Default: none
    :param hash_salt: the secret key of the hashes, such as ``{{ var.value.helpcrunch_hash_secret }}``; never shown
    """

    template_fields: Sequence[str] = (*HelpCrunchOperator.template_fields, "columns", "hash", "hash_salt")

    _privacy: Privacy

    def __init__(
        self,
        *,
        columns: Sequence[str] | str | None = None,
        hash: Sequence[str] | str | None = None,  # noqa: A002
        hash_salt: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.columns = columns
        self.hash = hash
        self.hash_salt = hash_salt

    @property
    def hash_salt(self) -> Any:
        """The salt, hidden when it is set: Airflow sets it too, when it has rendered it, and then shows it."""
        return self._hash_salt

    @hash_salt.setter
    def hash_salt(self, salt: Any) -> None:
        self._hash_salt = hidden(salt)

    def table(self) -> Table:
        """Return the resource's name and columns."""
        raise NotImplementedError

    def check_arguments(self) -> None:
        """
        Refuse wrong arguments before anything is sent or written.

        :raises HelpCrunchConfigurationError: an argument is wrong
        """
        super().check_arguments()
        self._privacy = chosen_privacy(self.table(), self.columns, self.hash, self.hash_salt)


class HelpCrunchListOperator(HelpCrunchRecordsOperator):
    """
    Base of the operators that list records of one resource into XCom or into one object.

    A subclass defines its resource with :meth:`table`, :meth:`listing` and, if it filters, :meth:`wanted`.

    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param output_path: destination of the records: a local path or an ``ObjectStoragePath`` such as
        ``s3://my_aws@bucket/agents/{{ ds }}.jsonl.gz``. The suffix selects the format: ``.jsonl``, ``.json``, ``.csv``
        (each also with ``.gz`` or ``.zst``) or ``.parquet``. The object appears whole, or not at all. Default: XCom
    :param file_format: the format, such as ``jsonl.gz``, if the path's suffix names none. Default: by the suffix
    :param page_size: records per request, 1 to 100 (100)
    :param max_xcom_bytes: largest result that may go to XCom, in bytes of JSON (1 MiB)
    :param columns: names of the columns to keep, or of those to leave out with ``-`` before each, such as
        ``-customer.email``: see :mod:`airflow_provider_helpcrunch.privacy`. Default: all
    :param hash: names of columns whose values are replaced by hashes, such as ``customer.email``. Default: none
    :param hash_salt: the secret key of the hashes, such as ``{{ var.value.helpcrunch_hash_secret }}``; never shown
    :param patience: longest time in seconds that one request may wait for the rate limit and for 429s (600)
    """

    template_fields: Sequence[str] = (
        *HelpCrunchRecordsOperator.template_fields,
        "output_path",
        "file_format",
        "page_size",
        "max_xcom_bytes",
    )

    arguments_that_name_results: Sequence[str] = ("output_path",)

    # Set by check_arguments: finding out about a directory or bucket again could have another outcome.
    _target: Target | None

    def __init__(
        self,
        *,
        output_path: str | ObjectStoragePath | None = None,
        file_format: str | None = None,
        page_size: int | str = 100,
        max_xcom_bytes: int | str = MAX_XCOM_BYTES,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.file_format = file_format
        self.page_size = page_size
        self.max_xcom_bytes = max_xcom_bytes

    def listing(self, client: HelpCrunchClient, page_size: int) -> Listing[Any] | ActivityListing:
        """Return all records of the resource."""
        raise NotImplementedError

    def wanted(self, records: Iterable[Record]) -> Iterable[Record]:
        """Return the records that the user asked for; here all of them."""
        return records

    def check_arguments(self) -> None:
        """
        Refuse wrong arguments before anything is sent or written.

        :raises HelpCrunchConfigurationError: an argument is wrong
        """
        super().check_arguments()
        self._limits()
        self._target = self._checked_target()

    def perform(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        """
        List the records.

        :param context: the context of the task, from Airflow; the events of outlet assets get the receipt
        :return: without ``output_path`` the records, as a list of dictionaries; with it
            ``{"path", "records", "bytes", "format"}``, and ``"warnings"`` where there are any
        :raises HelpCrunchXComSizeError: the result is larger than ``max_xcom_bytes``
        :raises HelpCrunchXComTextError: a text of the result holds U+0000
        :raises HelpCrunchError: the listing failed; an object that was at ``output_path`` before is untouched
        """
        from airflow_provider_helpcrunch.operators.progress import Progress
        from airflow_provider_helpcrunch.operators.xcom import fit_for_xcom

        page_size, limit = self._limits()
        target = self._target
        with (
            self.hook as hook,
            contextlib.closing(self.listing(hook.client, page_size)) as listing,
            Progress(self.log, self.table().name, hook.client, listing) as progress,
        ):
            records = progress.kept(map(self._privacy.apply, self.wanted(listing)))
            rows = list(fit_for_xcom(records, limit)) if target is None else []
            receipt: dict[str, Any] = {"records": len(rows)} if target is None else {**target.write(records)}
        if warnings := [*listing.warnings, *self._warn_of_nothing(progress.number_kept, listing.records)]:
            receipt["warnings"] = warnings
        self.attach_receipt(context, receipt)
        if target is None:
            return rows
        return receipt

    def _warn_of_nothing(self, kept: int, found: int) -> list[str]:
        """Warn if none of the records that HelpCrunch found meets the task's own conditions: they may be mistyped."""
        if kept or not found:
            return []
        from airflow_provider_helpcrunch.plurals import counted

        warning = (
            f"Check the conditions: none of {counted(found, 'record')} that HelpCrunch found meets them."
        )
        self.log.warning(warning)
        return [warning]

    def _limits(self) -> tuple[int, int]:
        """Return the number of records per page and the most bytes that may go to XCom."""
        page_size = whole_number("page_size", self.page_size, low=1, high=100)
        return page_size, whole_number("max_xcom_bytes", self.max_xcom_bytes, low=1, high=2**31)

    def _checked_target(self) -> Target | None:
        """Return where the records go, ``None`` for XCom; refuse a place that cannot be written to."""
        if self.output_path is None:
            if self.file_format is not None:
                msg = "file_format needs output_path: without it the records go to XCom."
                raise refused(msg)
            return None
        from airflow_provider_helpcrunch.storage import Target

        return Target.resolve(self.output_path, self._privacy.table, self.file_format)
