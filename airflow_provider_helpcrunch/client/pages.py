"""Pages of the API's lists: the request for one, and the decoded response as records with ids."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.client.ids import id_of, number_from, with_integer_ids
from airflow_provider_helpcrunch.client.response import error_details
from airflow_provider_helpcrunch.exceptions import HelpCrunchPaginationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from airflow_provider_helpcrunch.schema import Record


@dataclass(frozen=True, slots=True)
class Page:
    """
    One response of a list.

    :param records: its records without repetitions, in the server's order
    :param ids: their ids
    :param total: number of records that HelpCrunch reports; ``None`` if it reports no number
    :param offset: number of records of the list in front of the page (0)
    :param removed: number of its records that the caller has taken out of the list since (0)
    """

    records: list[Record] = field(repr=False)
    ids: list[int]
    total: int | None
    offset: int = 0
    removed: int = 0

    def __len__(self) -> int:
        return len(self.records)

    @property
    def size(self) -> int:
        """Number of records that it held when it was read."""
        return len(self) + self.removed

    @property
    def end(self) -> int:
        """Offset of the record that follows it."""
        return self.offset + len(self)

    def without(self, ids: Collection[int]) -> Page:
        """
        Return the page without records that have left the list.

        :param ids: ids of these records
        """
        left = [record for number, record in zip(self.ids, self.records, strict=True) if number not in ids]
        gone = len(self) - len(left)
        return replace(
            self,
            records=left,
            ids=[number for number in self.ids if number not in ids],
            total=None if self.total is None else self.total - gone,
            removed=self.removed + gone,
        )

    def refuse_empty(self, noun: str = "records") -> None:
        """
        Refuse an empty page if its own total says that it cannot be empty.

        :param noun: name of the records, for the message (``records``)
        :raises HelpCrunchPaginationError: its total says that more records follow
        """
        if not self.ids and self.total is not None and self.total > self.offset:
            msg = (
                f"The page at offset {self.offset} is empty, although HelpCrunch reports {self.total} {noun}."
            )
            raise HelpCrunchPaginationError(msg)


@dataclass(frozen=True, slots=True)
class ListRequest:
    """
    The request for a list, without its offset and limit.

    :param method: ``GET``, or ``POST`` for a search
    :param path: path below the base URL
    :param query: the order and, for a search, the filters: query parameters of a ``GET``, the body of a ``POST``
    :param noun: name of the records, in the plural, for messages (``records``)
    :param convert: converts each record for the caller. Default: no conversion
    :param check: refuses a page that does not fit the query. Default: none
    :param paged: send ``offset`` and ``limit`` (``True``); ``False``: every response is the whole list
    """

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    noun: str = "records"
    convert: Callable[[Record], Record] | None = None
    check: Callable[[Page], None] | None = None
    paged: bool = True

    def arguments(self, offset: int, limit: int) -> dict[str, Any]:
        """
        Return the arguments of the request for one page, as keywords of the transport.

        :param offset: number of records in front of the page
        :param limit: most records in the page
        """
        written = {**self.query, "offset": offset, "limit": limit} if self.paged else dict(self.query)
        return {"params": written} if self.method == "GET" else {"json": written}

    def read(
        self, payload: Any, *, offset: int, redact: Callable[[object], str] = str, probe: bool = False
    ) -> Page:
        """
        Return the page in a decoded response.

        :param payload: decoded JSON
        :param offset: the requested offset
        :param redact: removes the API key from texts that the server sent. Default: none is removed
        :param probe: accept an empty page or one in the wrong order (``False``)
        :raises ValueError: it is not a page; the message continues "HelpCrunch answered 200, but"
        :raises HelpCrunchPaginationError: it is empty, although its total says that more records follow
        :raises HelpCrunchError: the check of this list refused it
        """
        page = replace(parse_page(payload, redact), offset=offset)
        del payload  # the traceback of an error would carry it
        if not probe:
            page.refuse_empty(self.noun)
            if self.check is not None:
                self.check(page)
        if self.convert is None:
            return page
        return replace(page, records=[self.convert(record) for record in page.records])


def parse_page(payload: Any, redact: Callable[[object], str] = str) -> Page:
    """
    Read a page in every documented shape: records under ``data`` (messages once were under ``messages``), the total in
    ``meta``, at the root or nowhere.

    :param payload: decoded JSON
    :param redact: removes the API key from texts that the server sent. Default: none is removed
    :return: the page, with offset 0
    :raises ValueError: it is not a page; the message continues "HelpCrunch answered 200, but"
    """
    rows = payload.get("data", payload.get("messages")) if isinstance(payload, dict) else payload
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
        number = _id_of(row)
        record = with_integer_ids(row)
        if by_id.setdefault(number, record) != record:
            msg = "two different records have the same id"
            raise ValueError(msg)
    return Page(list(by_id.values()), list(by_id), _total_of(payload))


def _id_of(row: Any) -> int:
    number = id_of(row) if isinstance(row, dict) else None
    if number is None:
        msg = "a record has no integer id"
        raise ValueError(msg)
    return number


def _total_of(payload: Any) -> int | None:
    if not isinstance(payload, dict):
        return None
    meta = payload.get("meta")
    total = meta.get("total") if isinstance(meta, dict) else None
    return number_from(payload.get("total") if total is None else total)
