"""The extra of an Airflow connection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_helpcrunch._airflow import Connection


def extra_of(connection: Connection) -> dict[str, Any] | None:
    """
    Return what the extra of a connection holds, ``{}`` where it is empty, or ``None`` where it is not a JSON object.

    Airflow takes an extra that is not JSON for an empty one, and only logs that. Whatever it was meant to say, such as
    that Redis is reached by TLS, would be left out.

    :param connection: the connection
    """
    try:
        if connection.extra:
            json.loads(connection.extra)
        extra: Any = connection.extra_dejson
    # Airflow raises any of these for JSON that is not an object.
    except (TypeError, ValueError, AttributeError):
        return None
    return extra if isinstance(extra, dict) else None
