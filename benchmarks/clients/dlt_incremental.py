"""dlt's ``rest_api`` source with an incremental cursor on ``lastMessageAt``, the latest time that a chat has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import meter

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 100
SETTINGS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
}


def configuration(job: meter.Job) -> dict[str, Any]:
    """Return the declarative form of ``GET /chats`` with an incremental cursor."""
    paginator = {"type": "offset", "limit": PAGE, "offset": 0, "total_path": "meta.total"}
    endpoint = {
        "path": "chats",
        "data_selector": "data",
        "params": {"sort": "chats.createdAt", "order": "asc"},
        "incremental": {"cursor_path": "lastMessageAt", "on_cursor_value_missing": "include"},
    }
    return {
        "client": {"base_url": f"{job.url}/", "headers": job.headers, "paginator": paginator},
        "resources": [{"name": "chats", "endpoint": endpoint, "max_table_nesting": 0}],
    }


def prepare(job: meter.Job) -> Callable[[], None]:
    """Import dlt and make the pipeline, with its state in the folder that both runs share."""
    kept = os.environ["BENCH_STATE"]
    os.environ.update(SETTINGS, DLT_DATA_DIR=kept)
    import dlt
    from dlt.sources.rest_api import rest_api_source

    source = rest_api_source(configuration(job))
    # With the data, as dlt takes its state from the destination.
    loaded = Path(kept, "loaded")
    before = set(loaded.glob("bench/chats/*"))
    pipeline = dlt.pipeline(
        "chats",
        destination=dlt.destinations.filesystem(bucket_url=loaded.as_uri()),
        dataset_name="bench",
        pipelines_dir=str(Path(kept, "pipelines")),
    )

    def work() -> None:
        pipeline.run(source, loader_file_format="jsonl")
        with Path(job.output).open("wb") as output:
            for path in sorted(set(loaded.glob("bench/chats/*")) - before):
                with path.open("rb") as part:
                    shutil.copyfileobj(part, output)

    return work


meter.run(prepare)
