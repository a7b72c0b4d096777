"""Offset and limit, in a query string or in the body of a search, and the page they choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from airflow_provider_helpcrunch.sandbox.complaints import in_range
from airflow_provider_helpcrunch.sandbox.responses import Answer, listing

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.sandbox.settings import SearchTotal, Settings

DEFAULT_LIMIT = 100

Reader: TypeAlias = Callable[..., tuple[list[bytes], int]]


class Window(NamedTuple):
    """The rows that are asked for: ``[offset, offset + limit)``."""

    offset: int
    limit: int


def window(asked: Mapping[str, Any], settings: Settings) -> tuple[Window, dict[str, str]]:
    """
    Read ``offset`` and ``limit``, integers or strings of digits.

    :param asked: the query parameters, or the body of a search
    :return: the window, and what is wrong by field
    """
    offset = asked.get("offset", 0)
    limit = asked.get("limit", min(DEFAULT_LIMIT, settings.max_limit))
    checked = {"offset": in_range(offset, 0, None), "limit": in_range(limit, 1, settings.max_limit)}
    complaints = {field: complaint for field, complaint in checked.items() if complaint}
    if complaints:
        return Window(0, 0), complaints
    start = 0 if settings.ignore_offset else int(offset)
    return Window(start, min(int(limit), settings.page_cap)), {}


def page(read: Reader, window: Window, settings: Settings, place: SearchTotal = "meta") -> Answer:
    """
    Return one page of a list.

    :param read: takes offset, limit and ``shuffled``; returns the encoded rows and the true total
    :param place: where the total stands
    """
    rows, total = read(window.offset, window.limit, shuffled=settings.shuffle)
    return listing(rows, total, settings.total, place)
