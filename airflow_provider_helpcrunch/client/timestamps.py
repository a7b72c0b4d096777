"""Times, as the API and as users write them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError

Moment: TypeAlias = datetime | date | str | int | float
"""Types that :func:`moment` reads."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# With render_template_as_native_obj, Airflow turns the text of ds_nodash into a number.
_DAY = re.compile(r"((?:19|20)\d{6})(?:\.0*)?", re.ASCII)
# Python reads some numbers too long for seconds, such as milliseconds, as a date in the 18th century.
_NUMBER = re.compile(r"-?[\d.]+", re.ASCII)
_SECONDS = re.compile(r"-?\d{1,12}(\.\d{1,30})?", re.ASCII)


def parse_timestamp(value: Any) -> datetime | None:
    """
    Read a timestamp in any spelling of the API: UNIX seconds as an integer, a text or a text with a fraction.

    :param value: the field of a record
    :return: the time in UTC, to the microsecond; ``None`` for ``null``, an empty text and anything else

    API: https://docs.helpcrunch.com/rest-api-v1/chat-model-v1
    """
    text = value if isinstance(value, str) else repr(value) if type(value) in (int, float) else ""
    if not _SECONDS.fullmatch(text):
        return None
    try:
        return EPOCH + timedelta(microseconds=int((Decimal(text) * 1_000_000).to_integral_value()))
    except OverflowError:
        return None


def moment(name: str, value: Any) -> datetime:
    """
    Read a time that a user or a template gave.

    :param name: name of the argument, for the message
    :param value: a ``datetime`` or ``date``, ISO 8601 text (such as ``{{ data_interval_start }}`` and ``{{ ds }}``
        render), a day as text or number such as 20260131 (``{{ ds_nodash }}``), or UNIX seconds as text or number;
        UTC if it has no offset
    :return: the time in UTC
    :raises HelpCrunchConfigurationError: it is none of these
    """
    try:
        # Airflow's own dates are a subclass of datetime that parses everything lazily: take the plain value.
        if isinstance(value, datetime):
            given = value
        elif isinstance(value, date):
            given = datetime.combine(value, time())
        elif day := _DAY.fullmatch(str(value).strip()):
            given = datetime.fromisoformat(day[1])
        elif (seconds := parse_timestamp(value)) is not None:
            given = seconds
        elif isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
            given = datetime.fromisoformat(value.strip())
        else:
            raise ValueError
        given = given if given.tzinfo else given.replace(tzinfo=UTC)
        return datetime.fromtimestamp(given.timestamp(), UTC)
    except (ValueError, OverflowError):  # either is possible before the year 1 or after 9999 in UTC
        msg = (
            f"{name} must be a time: a datetime, ISO 8601 text such as 2026-01-31T08:00:00+00:00, or UNIX seconds; "
            f"not {value!r}."
        )
        raise HelpCrunchConfigurationError(msg) from None
