"""Times, as users and templates write them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Any, TypeAlias

from airflow_provider_helpcrunch.client.ids import integer_from
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.plurals import quoted
from airflow_provider_helpcrunch.unix_time import parse_timestamp

Moment: TypeAlias = datetime | date | str | int | float
"""Types that :func:`moment` reads."""

# With render_template_as_native_obj, Airflow turns the text of ds_nodash into a number.
_DAY = re.compile(r"((?:19|20)\d{6})(?:\.0*)?", re.ASCII)
# Python reads some numbers too long for seconds, such as milliseconds, as a date in the 18th century.
_NUMBER = re.compile(r"-?[\d.]+", re.ASCII)


def moment(name: str, value: Any) -> datetime:
    """
    Read a moment that a person or a template gave.

    :param name: the argument, for the message
    :param value: a ``datetime`` or ``date``, ISO 8601 text (what ``{{ data_interval_start }}`` and ``{{ ds }}``
        render), a day as text or number such as 20260131 (``{{ ds_nodash }}``), or UNIX seconds as text or number.
        Without an offset it is UTC
    :return: the moment in UTC
    :raises HelpCrunchConfigurationError: it is none of these
    """
    number = integer_from(value)
    value = value if number is None else number
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
    except (ValueError, OverflowError):  # either, where it lies before the year 1 or after 9999 in UTC
        msg = (
            f"{name} must be a time: a datetime, ISO 8601 text such as 2026-01-31T08:00:00+00:00, or UNIX seconds; "
            f"not {quoted(value)}."
        )
        raise HelpCrunchConfigurationError(msg) from None
