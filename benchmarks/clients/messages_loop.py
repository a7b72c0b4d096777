"""Loop over the messages of many chats with one ``requests`` session, which keeps nothing but writes each page."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import meter

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 100


def prepare(job: meter.Job) -> Callable[[], None]:
    """Import ``requests`` and the pages."""
    import requests
    from message_pages import FIRST_CHAT, MessagePages

    chats = range(FIRST_CHAT, FIRST_CHAT + int(os.environ["BENCH_CHATS"]))

    def work() -> None:
        with requests.Session() as session, Path(job.output).open("w") as file:
            session.mount("http://", MessagePages())
            for chat in chats:
                offset, total = 0, 1
                while offset < total:
                    response = session.get(
                        f"{job.url}/chats/{chat}/messages",
                        headers=job.headers,
                        params={"offset": offset, "limit": PAGE},
                    )
                    response.raise_for_status()
                    page = response.json()
                    file.writelines(json.dumps(message) + "\n" for message in page["data"])
                    offset += PAGE
                    total = page["total"]

    return work


meter.run(prepare)
