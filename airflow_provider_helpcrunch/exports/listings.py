"""Export of a resource that can be listed: chats, customers, agents and departments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.client.pagination import Position
from airflow_provider_helpcrunch.exceptions import HelpCrunchPaginationError
from airflow_provider_helpcrunch.exports.digests import Comparison, Digests, digester

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_helpcrunch.client import HelpCrunchClient, Listing
    from airflow_provider_helpcrunch.exports.manifest import Manifest
    from airflow_provider_helpcrunch.exports.run import Run
    from airflow_provider_helpcrunch.exports.staging import Staging
    from airflow_provider_helpcrunch.schema import Record


class ListingExport:
    """
    Engine that exports a resource that can be listed.

    After a rate limit error, or a killed worker, another engine with the same run goes on: at most one page is read
    again. The claim to the base path is left to the run.

    :param run: the run
    :param listing: returns all records of the resource
    :param protect: leaves columns out, or hashes them, before anything is stored. Default: nothing
    """

    def __init__(
        self,
        run: Run,
        listing: Callable[[HelpCrunchClient], Listing[Any]],
        protect: Callable[[Record], Record] = lambda record: record,
    ) -> None:
        self._run = run
        self._listing = listing
        self._protect = protect
        self._digest = digester(run.resource.table, run.resource.file_format)

    def run(self, client: HelpCrunchClient) -> Manifest:
        """
        Export the resource.

        :param client: the account
        :return: the manifest of the export
        :raises HelpCrunchRateLimitError: no request is allowed; the pages read so far are stored
        :raises HelpCrunchStorageError: another run is exporting to the same base path, or the storage fails
        :raises HelpCrunchError: the listing failed; the export before is untouched
        """
        staging = self._run.claim()
        self._read(client, staging)
        return self._finish(staging)

    def _read(self, client: HelpCrunchClient, staging: Staging) -> None:
        """Read the pages that are not stored yet."""
        at, before = staging.claim.cursor or {}, staging.claim.requests
        if at.get("complete"):
            return
        listing = self._listing(client)
        start = Position(*at["position"]) if at.get("position") else None
        known = [row["id"] for row in staging.rows()] if start else []
        try:
            for records in listing.batches(start, map(int, known)):
                cursor = {"position": listing.position}
                staging.add(map(self._protect, records), cursor, before + client.usage.requests)
        except HelpCrunchPaginationError:
            # The pages contradict each other, so none of them can be trusted: a retry begins at the first one.
            staging.discard()
            raise
        # Only now: the listing compares all of its pages with the totals after the last one.
        end = {"complete": True, "total": listing.total, "warnings": listing.warnings}
        staging.add([], end, before + client.usage.requests)

    def _finish(self, staging: Staging) -> Manifest:
        run = self._run
        for warning in staging.claim.cursor["warnings"]:
            run.warn(warning)
        comparison, digests = Comparison(Digests(run.state_before())), Digests()
        table = run.resource.table
        changes = run.write(
            "changes", run.resource.changes, self._changes(staging, comparison, digests), staging
        )
        snapshot = run.write("snapshot", table, staging.rows(), staging)
        return run.publish(
            staging,
            snapshot=snapshot,
            changes=changes,
            state=run.write_state(bytes(digests.packed), len(digests), staging),
            records=len(digests),
            deleted=len(comparison.left),
            total=staging.claim.cursor["total"],
            inserted=comparison.counts["inserted"],
            updated=comparison.counts["updated"],
            unchanged=comparison.counts["unchanged"],
        )

    def _changes(self, staging: Staging, comparison: Comparison, digests: Digests) -> Iterator[Record]:
        for record in staging.rows():
            key, digest = int(record["id"]), self._digest(record)
            digests.add(key, digest)
            change = comparison.change(key, digest)
            if change != "unchanged":
                yield self._run.changed(change, record, staging)
        # Only the export before still has what was deleted.
        if deleted := comparison.left:
            for record in self._run.snapshot_before():
                if int(record["id"]) in deleted:
                    yield self._run.changed("deleted", record, staging)
