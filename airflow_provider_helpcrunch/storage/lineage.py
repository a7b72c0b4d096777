"""Lineage: objects that were read or written are reported to Airflow, if a listener collects lineage."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.storage.location import Location

log = logging.getLogger(__name__)


def report(direction: Literal["input", "output"], location: Location) -> None:
    """
    Report to Airflow's lineage that an object is read or was written, as ``ObjectStoragePath`` does, but without the id
    of its connection.

    With the id, OpenLineage would take ``s3://my_aws@bucket/key`` for an object of a bucket ``my_aws@bucket``, which is
    another one for each connection, and not the one that other tools name.

    The object itself is fine even if the report fails, so a failed report is only a warning.

    :param direction: ``input`` for an object that is read, ``output`` for one that was written
    :param location: its location
    """
    from airflow_provider_helpcrunch._airflow import lineage_is_read

    try:
        # The collector loads the assets of all installed providers, even if nobody reads what it collects.
        if not lineage_is_read():
            return
        from airflow_provider_helpcrunch._airflow import get_hook_lineage_collector

        collector, context = get_hook_lineage_collector(), _context(location)
        # Airflow 2.11 calls an asset a dataset.
        add = getattr(collector, f"add_{direction}_asset", None) or getattr(
            collector, f"add_{direction}_dataset"
        )
        add(context=context, uri=_uri(context))
    except Exception as exc:
        log.warning(
            "%s could not be reported to Airflow's lineage: %s: %s", location.text, type(exc).__name__, exc
        )


def _context(location: Location) -> Any:
    """Return the location as Airflow's path. A local file has none yet, because nothing else needs it."""
    from airflow_provider_helpcrunch.storage.remote import airflow_path

    if location.remote is not None:
        return location.remote
    url = location.text if "://" in location.text else f"file://{location.text}"
    try:
        return airflow_path(url)
    except HelpCrunchConfigurationError:  # no Airflow path works here; readers want the URI
        return url


def _uri(context: Any) -> str:
    """Return the URI of a path without its connection, in ASCII, because an asset allows no other characters."""
    uri = context if isinstance(context, str) else f"{context.protocol}://{context.path}"
    return uri if uri.isascii() else quote(uri, safe="".join(map(chr, range(128))))
