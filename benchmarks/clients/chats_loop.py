"""Loop over all chats with one ``requests`` session, which keeps nothing but writes each page to the output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import meter

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 100


def prepare(job: meter.Job) -> Callable[[], None]:
    """Import ``requests``."""
    import requests

    def work() -> None:
        offset, total = 0, 1
        with requests.Session() as session, Path(job.output).open("w") as file:
            while offset < total:
                page = {"sort": "chats.createdAt", "order": "asc", "offset": offset, "limit": PAGE}
                response = session.get(f"{job.url}/chats", headers=job.headers, params=page)
                response.raise_for_status()
                payload = response.json()
                file.writelines(json.dumps(chat) + "\n" for chat in payload["data"])
                offset += PAGE
                total = payload["meta"]["total"]

    return work


meter.run(prepare)
