"""Operators that export a resource: the whole of it, and its changes since the export before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch._airflow import conf
from airflow_provider_helpcrunch.operators.arguments import flag, refused, whole_number
from airflow_provider_helpcrunch.operators.base import HelpCrunchRecordsOperator
from airflow_provider_helpcrunch.operators.deferral import BRIEF, PATIENCE, defer_for, seconds_until_free

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_helpcrunch._airflow import Context, ObjectStoragePath
    from airflow_provider_helpcrunch.client import HelpCrunchClient, Listing
    from airflow_provider_helpcrunch.exceptions import HelpCrunchError
    from airflow_provider_helpcrunch.exports.base_path import BasePath
    from airflow_provider_helpcrunch.exports.listings import ListingExport
    from airflow_provider_helpcrunch.exports.manifest import Manifest
    from airflow_provider_helpcrunch.exports.messages import MessagesExport
    from airflow_provider_helpcrunch.exports.run import Run
    from airflow_provider_helpcrunch.schema import Record, Table


class HelpCrunchExportOperator(HelpCrunchRecordsOperator):
    """
    Base of the operators that export a resource.

    A subclass defines its resource with :meth:`table` and :meth:`listing`.

    :param base_path: a directory of this export alone: a local path or an ``ObjectStoragePath`` such as
        ``s3://my_aws@lake/helpcrunch/chats``. It must stay the same from run to run, so it has no date
    :param file_format: format of the objects: ``jsonl``, ``json`` or ``csv``, each also with ``.gz`` or ``.zst``, or
        ``parquet`` (``jsonl.gz``)
    :param page_size: records per request, 1 to 100 (100)
    :param run_key: name of the run, the same in all of its tries. Default: the ids of run, DAG and task
    :param partition_key: partition of the outlet assets' events, such as ``{{ ds }}``, on Airflow 3.3 and newer.
        Default: none
    :param deferrable: give the worker slot back while the account's rate limit is used up (Airflow's
        ``[operators] default_deferrable``)
    :param columns: names of the columns to keep, or of those to leave out with ``-`` before each, such as
        ``-customer.email``: see :mod:`airflow_provider_helpcrunch.privacy`. Default: all
    :param hash: names of columns whose values are replaced by hashes, such as ``customer.email``. Default: none
    :param hash_salt: the secret key of the hashes, such as ``{{ var.value.helpcrunch_hash_secret }}``; never shown
    :param helpcrunch_conn_id: the Airflow connection with the API key (``helpcrunch_default``)
    :param patience: longest time in seconds that one request may wait for the rate limit and for 429s (600)
    """

    template_fields: Sequence[str] = (
        *HelpCrunchRecordsOperator.template_fields,
        "base_path",
        "file_format",
        "page_size",
        "run_key",
        "partition_key",
    )
    arguments_that_name_results: Sequence[str] = ("base_path",)

    # Set by check_arguments.
    _base: BasePath

    def __init__(
        self,
        *,
        base_path: str | ObjectStoragePath,
        file_format: str = "jsonl.gz",
        page_size: int | str = 100,
        run_key: str | None = None,
        partition_key: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.base_path = base_path
        self.file_format = file_format
        self.page_size = page_size
        self.run_key = run_key
        self.partition_key = partition_key
        self.deferrable = deferrable

    def listing(self, client: HelpCrunchClient, page_size: int) -> Listing[Any]:
        """Return all records of the resource."""
        raise NotImplementedError

    def choices(self) -> str:
        """Return what tells rows of this export from those of one with other columns or hashes."""
        return self._privacy.fingerprint

    def engine(self, run: Run) -> ListingExport | MessagesExport:
        """
        Return the engine that makes the export.

        :param run: the run
        """
        from airflow_provider_helpcrunch.exports.listings import ListingExport

        page_size = self._page_size()
        return ListingExport(run, lambda client: self.listing(client, page_size), self._privacy.apply)

    def check_arguments(self) -> None:
        """
        Refuse wrong arguments before anything is sent or written.

        :raises HelpCrunchConfigurationError: an argument is wrong
        """
        from airflow_provider_helpcrunch.exports.base_path import BasePath
        from airflow_provider_helpcrunch.storage.formats import choose_format

        super().check_arguments()
        self._page_size()
        flag("deferrable", self.deferrable)
        self._format = str(choose_format("snapshot", self.file_format))
        self._base = BasePath(self.base_path)

    def perform(self, context: Context) -> dict[str, Any]:
        """
        Export the resource.

        :param context: the context of the task, from Airflow; the events of outlet assets get the result
        :return: ``path`` of the manifest; ``run``; how many records there are (``records``) and how many were
            ``inserted``, ``updated``, ``deleted`` and ``unchanged`` since the export before; ``snapshot`` and
            ``changes``, lists of receipts for :func:`~airflow_provider_helpcrunch.storage.read_records`; ``bytes`` of
            both; ``requests``, ``seconds`` and ``warnings`` of the run
        :raises HelpCrunchConfigurationError: an argument or the connection is wrong, the base path has something else,
            or a later export stands on this one; nothing was sent
        :raises HelpCrunchStorageError: another run is exporting to the base path, or the storage fails
        :raises HelpCrunchError: the listing failed; the export before is untouched, and a retry goes on at the latest
            page
        """
        return self._go_on(context, 0.0)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Continue after a deferral; all but the time waited is stored beside the data.

        :param context: the context of the task, from Airflow
        :param event: the event of the trigger
        :return: see :meth:`perform`
        :raises HelpCrunchError: see :meth:`perform`
        """
        return self._without_frames(self._resume, context, event)

    def _resume(self, context: Context, event: dict[str, Any] | None) -> dict[str, Any]:
        self.check_arguments()
        return self._go_on(context, float((event or {}).get("waited", 0.0)))

    def _go_on(self, context: Context, waited: float) -> dict[str, Any]:
        from airflow_provider_helpcrunch.exceptions import (
            HelpCrunchBudgetStoreError,
            HelpCrunchRateLimitError,
        )
        from airflow_provider_helpcrunch.exports.run import Resource, Run
        from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook
        from airflow_provider_helpcrunch.operators.progress import count_usage

        patience = float(self._patience() or PATIENCE)
        defers = flag("deferrable", self.deferrable)
        resource = Resource(self._privacy.table, self._format, self.choices())
        run = Run(self._base, resource, self._run_key(context))
        engine = self.engine(run)
        brief = min(BRIEF, patience) if defers else patience
        with run, HelpCrunchHook(self.helpcrunch_conn_id, patience=brief) as hook:
            client = hook.client
            try:
                manifest = engine.run(client)
            except (HelpCrunchRateLimitError, HelpCrunchBudgetStoreError) as refusal:
                if not defers:
                    raise
                # A page was stored: the wait for the next one begins anew.
                has_progress = run.staging is not None and run.staging.pages > 0
                self._defer_until_free(client, run, 0.0 if has_progress else waited, patience, refusal)
                raise
            finally:
                count_usage(client.usage)
        return self._reported(context, run, manifest)

    def _defer_until_free(
        self, client: HelpCrunchClient, run: Run, waited: float, patience: float, refusal: HelpCrunchError
    ) -> None:
        """Defer until a quarter of the account's limit is free, unless that takes longer than patience allows."""
        seconds = seconds_until_free(client)
        waited += getattr(refusal, "waited", 0.0) + seconds
        if waited > patience:
            return
        if run.staging is not None:
            run.staging.hold(seconds)
        defer_for(self, seconds, {"waited": waited})

    def _reported(self, context: Context, run: Run, manifest: Manifest) -> dict[str, Any]:
        from airflow_provider_helpcrunch.plurals import counted

        objects = [*manifest.snapshot, *manifest.changes]
        self.log.info(
            "%s of %s: %d inserted, %d updated, %d deleted, %d unchanged since the export before; %s",
            counted(manifest.records, "record"),
            manifest.resource,
            manifest.inserted,
            manifest.updated,
            manifest.deleted,
            manifest.unchanged,
            counted(manifest.requests, "request"),
        )
        result = {
            "path": f"{run.base}/manifest.json",
            "run": manifest.run,
            **{
                name: getattr(manifest, name)
                for name in ("records", "inserted", "updated", "deleted", "unchanged", "requests", "warnings")
            },
            "snapshot": self._receipts(run, manifest.snapshot),
            "changes": self._receipts(run, manifest.changes),
            "bytes": sum(each.bytes for each in objects),
            "seconds": manifest.finished_at - manifest.started_at,
        }
        self.attach_receipt(context, result)
        self._add_partition(context)
        return result

    def _receipts(self, run: Run, objects: Sequence[Any]) -> list[dict[str, Any]]:
        return [
            {
                "path": f"{run.base}/{each.path}",
                "records": each.records,
                "bytes": each.bytes,
                "format": run.resource.file_format,
            }
            for each in objects
        ]

    def _add_partition(self, context: Context) -> None:
        """Give the events of outlet assets their partition, where Airflow has partitions (3.3 and newer)."""
        from airflow_provider_helpcrunch._airflow import Asset

        events = context.get("outlet_events")
        for outlet in self.outlets or () if self.partition_key is not None else ():
            event = events[outlet] if events is not None and isinstance(outlet, Asset) else None
            if event is not None and hasattr(event, "add_partitions"):
                event.add_partitions(str(self.partition_key))

    def _run_key(self, context: Context) -> str:
        if self.run_key is not None:
            return str(self.run_key)
        run_id = context.get("run_id")
        if run_id is None:
            msg = "run_key is needed where the task has no run id: give the run a name, the same in all of its tries."
            raise refused(msg)
        # Two DAGs may have the same run ids, and must not take each other's runs for their own.
        dag = f"{self.dag.dag_id}." if self.has_dag() else ""  # type: ignore[no-untyped-call]
        return f"{run_id} {dag}{self.task_id}"

    def _page_size(self) -> int:
        return whole_number("page_size", self.page_size, low=1, high=100)


class ExportChatsOperator(HelpCrunchExportOperator):
    """
    Export all chats, and their changes since the export before.

    .. code-block:: python

        ExportChatsOperator(task_id="chats", base_path="s3://my_aws@lake/helpcrunch/chats", file_format="parquet")

    HelpCrunch does not say which chats were changed, so all are listed: one request per 99 chats. All arguments are
    templated; for arguments, result and errors see :class:`HelpCrunchExportOperator`.

    API: https://docs.helpcrunch.com/rest-api-v1/get-chats-v1
    """

    def table(self) -> Table:
        """Return the columns of chats."""
        from airflow_provider_helpcrunch.schema import CHATS

        return CHATS

    def listing(self, client: HelpCrunchClient, page_size: int) -> Listing[Any]:
        """Return all chats, oldest first."""
        return client.iter_chats(page_size=page_size)


class ExportCustomersOperator(HelpCrunchExportOperator):
    """
    Export all customers, and their changes since the export before.

    HelpCrunch does not say which customers were changed, so all are listed: one request per 99 customers. All arguments
    are templated; for arguments, result and errors see :class:`HelpCrunchExportOperator`.

    API: https://docs.helpcrunch.com/rest-api-v1/get-customers-v1
    """

    def table(self) -> Table:
        """Return the columns of customers."""
        from airflow_provider_helpcrunch.schema import CUSTOMERS

        return CUSTOMERS

    def listing(self, client: HelpCrunchClient, page_size: int) -> Listing[Any]:
        """Return all customers, first seen first."""
        return client.iter_customers(page_size=page_size)


class ExportAgentsOperator(HelpCrunchExportOperator):
    """
    Export all agents, and their changes since the export before.

    All arguments are templated; for arguments, result and errors see :class:`HelpCrunchExportOperator`.

    API: https://docs.helpcrunch.com/rest-api-v1/get-agents-v1
    """

    def table(self) -> Table:
        """Return the columns of agents."""
        from airflow_provider_helpcrunch.schema import AGENTS

        return AGENTS

    def listing(self, client: HelpCrunchClient, page_size: int) -> Listing[Any]:
        """Return all agents."""
        return client.iter_agents(page_size=page_size)


class ExportDepartmentsOperator(HelpCrunchExportOperator):
    """
    Export all departments with their agents, and their changes since the export before.

    All arguments are templated; for arguments, result and errors see :class:`HelpCrunchExportOperator`.

    API: https://docs.helpcrunch.com/rest-api-v1/get-departments-v1
    """

    def table(self) -> Table:
        """Return the columns of departments."""
        from airflow_provider_helpcrunch.schema import DEPARTMENTS

        return DEPARTMENTS

    def listing(self, client: HelpCrunchClient, page_size: int) -> Listing[Any]:
        """Return all departments."""
        return client.iter_departments(page_size=page_size)


class ExportMessagesOperator(HelpCrunchExportOperator):
    """
    Export the messages of all chats, and their changes since the export before.

    .. code-block:: python

        ExportMessagesOperator(
            task_id="messages",
            chats_path="s3://my_aws@lake/helpcrunch/chats",
            base_path="s3://my_aws@lake/helpcrunch/messages",
        )

    Only chats whose ``lastMessageId`` moved since the export before are read: one request for each of them, and one
    more per 99 messages. A chat must add up to HelpCrunch's total; if it does not, even when it is read whole, the
    result has a warning, and the next run reads it again. Edits of old messages leave no trace: ``full`` finds them.
    Messages that HelpCrunch itself wrote (type ``tech``) are in objects of their own, ``system`` in the manifest.

    All arguments are templated; for the others, result and errors see :class:`HelpCrunchExportOperator`.

    :param chats_path: ``base_path`` of an :class:`ExportChatsOperator`, which has run before this task
    :param private_notes: whether to export private notes (``False``). After another choice, all chats are read
    :param full: whether to read every chat, moved or not (``False``)

    API: https://docs.helpcrunch.com/rest-api-v1/get-messages-v1
    """

    template_fields: Sequence[str] = (
        *HelpCrunchExportOperator.template_fields,
        "chats_path",
        "private_notes",
        "full",
    )

    # Set by check_arguments.
    _chats_base: BasePath

    def __init__(
        self,
        *,
        chats_path: str | ObjectStoragePath,
        private_notes: bool | str = False,
        full: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.chats_path = chats_path
        self.private_notes = private_notes
        self.full = full

    def table(self) -> Table:
        """Return the columns of messages."""
        from airflow_provider_helpcrunch.schema import MESSAGES

        return MESSAGES

    def check_arguments(self) -> None:
        """
        Refuse wrong arguments before anything is sent or written.

        :raises HelpCrunchConfigurationError: an argument is wrong
        """
        from airflow_provider_helpcrunch.exports.base_path import BasePath

        super().check_arguments()
        flag("private_notes", self.private_notes)
        flag("full", self.full)
        self._chats_base = BasePath(self.chats_path, "chats_path", writable=False)
        if str(self._chats_base) == str(self._base):
            msg = f"base_path and chats_path are both {self._base}: an export needs a directory of its own."
            raise refused(msg)

    def choices(self) -> str:
        """Return what tells rows of this export from those of one with other columns or hashes, or without notes."""
        notes = " with private notes" if flag("private_notes", self.private_notes) else ""
        return f"{super().choices()}{notes}"

    def engine(self, run: Run) -> MessagesExport:
        """
        Return the engine that makes the export.

        :param run: the run
        :raises HelpCrunchConfigurationError: there is no export of chats
        """
        from airflow_provider_helpcrunch.exports.messages import MessagesExport

        chats = self._chats_manifest()
        return MessagesExport(
            run,
            lambda: self._chats(chats),
            page_size=self._page_size(),
            private_notes=flag("private_notes", self.private_notes),
            full=flag("full", self.full),
            protect=self._privacy.apply,
        )

    def _chats(self, manifest: Manifest) -> Iterator[Record]:
        from airflow_provider_helpcrunch.schema import Column, Table
        from airflow_provider_helpcrunch.storage import read_records

        # As texts, so that the engine can tell a hash from a number, in CSV too.
        table = Table("chats", (Column("id", "string"), Column("lastMessageId", "string")))
        for each in manifest.snapshot:
            yield from read_records(f"{self._chats_base}/{each.path}", table=table)

    def _chats_manifest(self) -> Manifest:
        from airflow_provider_helpcrunch.exports.manifest import HEAD, read_manifest

        manifest = read_manifest(self._chats_base, "chats", HEAD, "chats_path")
        if manifest is None:
            msg = f"chats_path {self._chats_base} has no export: run ExportChatsOperator with this base_path first."
            raise refused(msg)
        return manifest
