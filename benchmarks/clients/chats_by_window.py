"""Chats by windows: those created, closed or written to since the run before, with a ``requests`` loop."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = 100


def prepare(job: meter.Job) -> Callable[[], None]:
    """Import ``requests``; the time of the run before is in the folder that both runs share."""
    import requests

    mark = Path(os.environ["BENCH_STATE"]) / "since.txt"

    def pages(session: requests.Session, method: str, path: str, **query: Any) -> Iterator[list[Any]]:
        offset, rows = 0, PAGE
        while rows == PAGE:
            place = {"offset": offset, "limit": PAGE}
            given = {"json": {**query, **place}} if method == "POST" else {"params": {**query, **place}}
            response = session.request(method, f"{job.url}{path}", headers=job.headers, **given)
            response.raise_for_status()
            records = response.json()["data"]
            yield records
            offset, rows = offset + PAGE, len(records)

    def work() -> None:
        since = float(mark.read_text()) if mark.exists() else 0.0
        found: dict[int, Any] = {}
        latest = since
        with requests.Session() as session:
            for field in ("chats.createdAt", "chats.closedAt"):
                window = [{"field": field, "operator": ">", "value": int(since)}]
                for records in pages(session, "POST", "/chats/search", filter=window):
                    found.update((chat["id"], chat) for chat in records)
            newest_first = {"sort": "chats.lastMessageAt", "order": "desc"}
            for records in pages(session, "GET", "/chats", **newest_first):
                active = [chat for chat in records if float(chat["lastMessageAt"] or 0) > since]
                found.update((chat["id"], chat) for chat in active)
                if len(active) < len(records):
                    break
        times = ("createdAt", "closedAt", "lastMessageAt")
        latest = max(float(chat[name] or 0) for chat in found.values() for name in times) if found else since
        mark.write_text(str(latest))
        Path(job.output).write_text("".join(json.dumps(chat) + "\n" for chat in found.values()))

    return work


meter.run(prepare)
