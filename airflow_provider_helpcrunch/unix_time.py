"""UNIX time, in every spelling of the API: the one place where seconds become a moment."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = re.compile(r"-?\d{1,12}(\.\d{1,30})?", re.ASCII)


def parse_timestamp(value: Any) -> datetime | None:
    """
    Read UNIX seconds: an integer, a text or a text with a fraction.

    :param value: the field of a record
    :return: the moment in UTC, to the microsecond; ``None`` where it is not UNIX seconds, or the year is not 1 to 9999

    API: https://docs.helpcrunch.com/rest-api-v1/chat-model-v1
    """
    try:
        if type(value) is int:
            return EPOCH + timedelta(seconds=value)
        text = value if isinstance(value, str) else repr(value) if isinstance(value, float) else ""
        if not _SECONDS.fullmatch(text):
            return None
        # Decimal, for a float cannot hold the microseconds of today.
        return EPOCH + timedelta(microseconds=int((Decimal(text) * 1_000_000).to_integral_value()))
    except OverflowError:
        return None
