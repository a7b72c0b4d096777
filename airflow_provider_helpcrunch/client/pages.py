"""One page of a listing, checked: a decoded answer becomes records with ids, or an error that says what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.client.answers import error_details
from airflow_provider_helpcrunch.exceptions import HelpCrunchPaginationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_helpcrunch.client.records import Record


@dataclass(frozen=True, slots=True)
class Page:
    """
    One answer of a listing.

    :param records: its records without repetitions, in the server's order
    :param ids: their ids
    :param total: how many records HelpCrunch says there are; ``None`` when it does not say, or not in a number
    """

    records: list[Record] = field(repr=False)
    ids: list[int]
    total: int | None

    def __len__(self) -> int:
        return len(self.records)

    def with_records(self, made_of: Callable[[Record], Record]) -> Page:
        """Return this page with something made of each record."""
        return replace(self, records=[made_of(record) for record in self.records])


def parse_page(payload: Any, redact: Callable[[object], str] = str) -> Page:
    """
    Read a page in every documented shape: records under ``data``, the total in ``meta``, at the root or nowhere.

    :param payload: decoded JSON
    :param redact: takes the API key out of texts that the server sent
    :return: the page
    :raises ValueError: it is no page; the message goes behind "HelpCrunch answered 200, but"
    """
    rows = payload.get("data") if isinstance(payload, dict) else payload
    if errors := error_details(payload, redact):
        msg = f"the body reports errors: {'; '.join(map(str, errors[:5]))}"
        raise ValueError(msg)
    if not isinstance(rows, list):
        msg = f"the body holds no list of records under 'data' but {type(rows).__name__}"
        raise ValueError(msg)
    if len(rows) == 1 and isinstance(rows[0], list):
        rows = rows[0]
    by_id: dict[int, Record] = {}
    for row in rows:
        if by_id.setdefault(_id_of(row), row) != row:
            msg = "two different records have the same id"
            raise ValueError(msg)
    return Page(list(by_id.values()), list(by_id), _total_of(payload))


def refuse_empty_chats(page: Page, offset: int = 0) -> None:
    """
    Refuse an empty page of chats that by its own total cannot be empty.

    :param page: the page
    :param offset: how many chats stand in front of it (0)
    :raises HelpCrunchPaginationError: its total promises more
    """
    if not page.ids and page.total is not None and page.total > offset:
        msg = f"The page at offset {offset} is empty, though there should be {page.total} chats."
        raise HelpCrunchPaginationError(msg)


def _id_of(row: Any) -> int:
    value = row.get("id") if isinstance(row, dict) else None
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        msg = "a record has no integer id"
        raise ValueError(msg)
    return value


def _total_of(payload: Any) -> int | None:
    if not isinstance(payload, dict):
        return None
    meta = payload.get("meta")
    total = meta.get("total") if isinstance(meta, dict) else None
    total = payload.get("total") if total is None else total
    if isinstance(total, str) and total.isascii() and total.isdigit() and len(total) < 19:
        return int(total)
    if isinstance(total, float) and total.is_integer():
        total = int(total)
    return total if isinstance(total, int) and not isinstance(total, bool) and 0 <= total < 2**63 else None
