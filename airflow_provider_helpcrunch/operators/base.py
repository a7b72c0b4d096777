"""What all operators have in common, and all that those which list records have in common but the records."""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch._airflow import BaseOperator
from airflow_provider_helpcrunch.operators.arguments import refused, whole_number

# HTTP, Arrow and the hook are imported where they are used: parsing a DAG file must cost next to nothing.
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_helpcrunch._airflow import Context, ObjectStoragePath
    from airflow_provider_helpcrunch.client import HelpCrunchClient, Listing
    from airflow_provider_helpcrunch.client.activity import ActivityListing
    from airflow_provider_helpcrunch.client.records import Record, Table
    from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook
    from airflow_provider_helpcrunch.storage import Target

DEFAULT_CONN_ID = "helpcrunch_default"
MAX_XCOM_BYTES = 1024 * 1024
LONGEST_PATIENCE = 7 * 86_400


class HelpCrunchOperator(BaseOperator):
    """
    Base of all operators: the connection, and how long a request may wait.

    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param patience: seconds that one request may wait for the account's request budget and for 429s (600)
    """

    template_fields: Sequence[str] = ("helpcrunch_conn_id", "patience")

    def __init__(
        self,
        *,
        helpcrunch_conn_id: str = DEFAULT_CONN_ID,
        patience: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.helpcrunch_conn_id = helpcrunch_conn_id
        self.patience = patience

    @cached_property
    def hook(self) -> HelpCrunchHook:
        """The hook of ``helpcrunch_conn_id``."""
        from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook

        if self.patience is None:
            return HelpCrunchHook(self.helpcrunch_conn_id)
        patience = whole_number("patience", self.patience, low=1, high=LONGEST_PATIENCE)
        return HelpCrunchHook(self.helpcrunch_conn_id, patience=patience)

    def tell_assets(self, context: Context, receipt: dict[str, Any]) -> None:
        """Put what was written into the events of the task's outlet assets."""
        from airflow_provider_helpcrunch._airflow import Asset

        events = context.get("outlet_events")
        for outlet in self.outlets or ():
            if events is not None and isinstance(outlet, Asset):
                events[outlet].extra = receipt


class HelpCrunchListOperator(HelpCrunchOperator):
    """
    Base of the operators that list records of one resource into XCom or into one object.

    A child names its resource with :meth:`table`, :meth:`listing` and, where it filters, :meth:`wanted`.

    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param output_path: where the records go: a local path or an ``ObjectStoragePath`` such as
        ``s3://my_aws@bucket/agents/{{ ds }}.jsonl.gz``. The suffix chooses the format: ``.jsonl``, ``.json``, ``.csv``
        (each also with ``.gz`` or ``.zst``) or ``.parquet``. The object appears whole, or not at all. Default: XCom
    :param file_format: the format where the suffix does not tell, such as ``jsonl.gz``
    :param page_size: records a request, 1 to 100 (100)
    :param max_xcom_bytes: largest result that may go to XCom, in bytes of JSON (1 MiB)
    :param patience: seconds that one request may wait for the account's request budget and for 429s (600)
    """

    template_fields: Sequence[str] = (
        *HelpCrunchOperator.template_fields,
        "output_path",
        "file_format",
        "page_size",
        "max_xcom_bytes",
    )

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

    def table(self) -> Table:
        """Return the resource's name and columns."""
        raise NotImplementedError

    def listing(self, client: HelpCrunchClient, page_size: int) -> Listing[Any] | ActivityListing:
        """Return all records of the resource."""
        raise NotImplementedError

    def wanted(self, records: Iterable[Record]) -> Iterable[Record]:
        """Return the records that the user asked for; here all of them."""
        return records

    def execute(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        """
        List the records.

        :param context: the task's context; the events of outlet assets get the receipt

        :return: without ``output_path`` the records, as a list of dictionaries; with it
            ``{"path", "records", "bytes", "format"}``, and ``"warnings"`` where there are any
        :raises HelpCrunchConfigurationError: an argument or the connection is wrong; nothing was sent or written
        :raises HelpCrunchXComSizeError: the result is larger than ``max_xcom_bytes``
        :raises HelpCrunchXComTextError: a text of the result holds U+0000
        :raises HelpCrunchError: the listing failed; an object that was at ``output_path`` before is untouched
        """
        from airflow_provider_helpcrunch.operators.progress import Progress
        from airflow_provider_helpcrunch.operators.xcom import fit_for_xcom

        page_size = whole_number("page_size", self.page_size, low=1, high=100)
        limit = whole_number("max_xcom_bytes", self.max_xcom_bytes, low=1, high=2**31)
        target = self._target()
        with (
            self.hook as hook,
            contextlib.closing(self.listing(hook.client, page_size)) as listing,
            Progress(self.log, self.table().name, hook.client, listing),
        ):
            records = self.wanted(listing)
            rows = list(fit_for_xcom(records, limit)) if target is None else []
            receipt: dict[str, Any] = {"records": len(rows)} if target is None else {**target.write(records)}
        if listing.warnings:
            receipt["warnings"] = listing.warnings
        self.tell_assets(context, receipt)
        if target is None:
            return rows
        return receipt

    def _target(self) -> Target | None:
        if self.output_path is None:
            if self.file_format is not None:
                msg = "file_format needs output_path: without it the records go to XCom."
                raise refused(msg)
            return None
        from airflow_provider_helpcrunch.storage import Target

        return Target.resolve(self.output_path, self.table(), self.file_format)
