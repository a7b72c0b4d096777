"""What the endpoints of every resource are made with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_helpcrunch.client.pages import Page, parse_page
from airflow_provider_helpcrunch.client.paging import LARGEST_PAGE, Check, Fetch, Listing
from airflow_provider_helpcrunch.client.transport import IN_FLIGHT
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchResponseError

if TYPE_CHECKING:
    import threading

    from airflow_provider_helpcrunch.client.records import Record
    from airflow_provider_helpcrunch.client.redaction import Redactor
    from airflow_provider_helpcrunch.client.transport import Transport

T = TypeVar("T")


class Endpoints:
    """
    Base of the classes that hold the endpoints of one resource.

    :param transport: makes the calls
    :param redact: takes the API key out of texts that the server sent
    """

    def __init__(self, transport: Transport, redact: Redactor) -> None:
        self._transport = transport
        self._redact = redact

    def _listing(self, path: str, page_size: int, **sorting: str) -> Listing[Any]:
        check_page_size(page_size)

        def fetch(offset: int, limit: int, check: Check, cancelled: threading.Event) -> Page:
            params = {**sorting, "offset": offset, "limit": limit}
            return self._page("GET", path, check, params=params, cancelled=cancelled)

        return self._walk(fetch, page_size)

    def _walk(self, fetch: Fetch, page_size: int) -> Listing[Any]:
        return Listing(fetch, page_size=page_size, in_flight=IN_FLIGHT)

    def _page(
        self,
        method: str,
        path: str,
        check: Check,
        *,
        made_of: Callable[[Record], Record] | None = None,
        **request: Any,
    ) -> Page:
        """
        Get one page.

        :param check: refuses an answer that cannot be right, so that it is asked for again
        :param made_of: makes of each record what the caller gets
        """

        def parse(payload: Any) -> Page:
            page = parse_page(payload, self._redact)
            del payload  # what check raises would carry it in its traceback
            check(page)
            return page if made_of is None else page.with_records(made_of)

        return self._transport.call(method, path, parse, **request)


def check_page_size(page_size: int) -> None:
    """
    Refuse a page size that HelpCrunch does not serve.

    :raises HelpCrunchConfigurationError: it is not from 1 to 100
    """
    if not 1 <= page_size <= LARGEST_PAGE:
        msg = f"page_size must be 1 to {LARGEST_PAGE} (HelpCrunch sends no more at once), not {page_size}."
        raise HelpCrunchConfigurationError(msg)


def check_id(name: str, value: Any) -> int:
    """
    Return an id that may have been written as text.

    :param name: what it is the id of, for the message
    :param value: a positive integer or its digits
    :raises HelpCrunchConfigurationError: it is neither
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**63:
        msg = f"{name} must be a HelpCrunch id, a whole number above 0, not {value!r}."
        raise HelpCrunchConfigurationError(msg)
    return value


def id_in(record: Mapping[str, Any], field: str) -> int | None:
    """
    Return the id of a nested record such as a chat's ``assignee``; ``None`` only where the API says that there is none.

    :param record: the record
    :param field: the field of the nested record
    :raises HelpCrunchResponseError: the field is missing, or holds no id, so that it cannot be told
    """
    value = record.get(field)
    found = value.get("id") if isinstance(value, Mapping) else value
    number = id_of(int(found) if isinstance(found, float) and found.is_integer() else found)
    if number is None and (value is not None or field not in record):
        msg = f"HelpCrunch sent record {id_of(record)} without a readable {field}, so what it is cannot be told."
        raise HelpCrunchResponseError(msg)
    return number


def id_of(value: Any) -> int | None:
    """Return the id of a nested record such as a chat's ``assignee``, which may be ``None`` or an id alone."""
    value = value.get("id") if isinstance(value, Mapping) else value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
