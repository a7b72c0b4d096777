"""Loop as in tutorials: one ``requests`` session, pages by offset until the total is reached."""

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
                answer = session.get(
                    f"{job.url}/agents", headers=job.headers, params={"offset": offset, "limit": PAGE}
                )
                answer.raise_for_status()
                payload = answer.json()
                file.writelines(json.dumps(agent) + "\n" for agent in payload["data"])
                offset += PAGE
                total = payload["meta"]["total"]

    return work


meter.run(prepare)
