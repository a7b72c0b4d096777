"""The engine of ``ExportMessagesOperator``, with pages that are made in this process."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import airflow_process
import meter

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT, PERIOD = 1_000, 0.01
"""Requests a period: no limit, as no client sends so many."""


def prepare(job: meter.Job) -> Callable[[], None]:
    """Import the engine, and write the file of chats where it is missing."""
    from message_pages import FIRST_CHAT, MESSAGES, MessagePages, last_of

    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.exports.base_path import BasePath
    from airflow_provider_helpcrunch.exports.messages import MessagesExport
    from airflow_provider_helpcrunch.exports.run import Resource, Run
    from airflow_provider_helpcrunch.rate_limit.limiter import RateLimiter
    from airflow_provider_helpcrunch.rate_limit.memory import MemoryStore
    from airflow_provider_helpcrunch.schema import MESSAGES as TABLE
    from airflow_provider_helpcrunch.storage import read_records

    airflow_process.load()
    number, mode = int(os.environ["BENCH_CHATS"]), os.environ["BENCH_MODE"]
    kept = Path(os.environ["BENCH_STATE"])
    chats = kept / "chats.jsonl"
    if not chats.exists():
        with chats.open("w") as file:
            for chat in range(FIRST_CHAT, FIRST_CHAT + number):
                file.write(json.dumps({"id": chat, "lastMessageId": last_of(chat)}) + "\n")
    client = HelpCrunchClient(
        job.key,
        base_url=job.url,
        budget=RateLimiter(MemoryStore(LIMIT, PERIOD), LIMIT, PERIOD),
        http_adapter=MessagePages(),
    )

    def work() -> None:
        with Run(BasePath(str(kept / "messages")), Resource(TABLE, "jsonl"), mode) as run, client:
            engine = MessagesExport(run, lambda: read_records(str(chats)), full=mode == "full")
            done = engine.run(client)
        found = (done.records, done.inserted, done.requests, done.warnings)
        wanted = (number * MESSAGES, number * MESSAGES * (mode == "first"), number * (mode != "second"), [])
        if found != wanted:
            message = f"exported {found}, not {wanted}"
            raise RuntimeError(message)

    return work


meter.run(prepare)
