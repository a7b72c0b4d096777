"""dlt's ``rest_api`` source with its offset paginator, loaded into JSONL files by its filesystem destination."""

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
    """Return the declarative form of ``GET /agents``."""
    paginator = {"type": "offset", "limit": PAGE, "offset": 0, "total_path": "meta.total"}
    return {
        "client": {"base_url": f"{job.url}/", "headers": job.headers, "paginator": paginator},
        "resources": [{"name": "agents", "endpoint": {"path": "agents", "data_selector": "data"}}],
    }


def prepare(job: meter.Job) -> Callable[[], None]:
    """Import dlt and make the pipeline, with its state in the folder of this run."""
    os.environ.update(SETTINGS, DLT_DATA_DIR=job.folder)
    import dlt
    from dlt.sources.rest_api import rest_api_source

    source = rest_api_source(configuration(job))
    loaded = Path(job.folder, "loaded")
    pipeline = dlt.pipeline(
        "agents",
        destination=dlt.destinations.filesystem(bucket_url=loaded.as_uri()),
        dataset_name="bench",
        pipelines_dir=str(Path(job.folder, "pipelines")),
    )

    def work() -> None:
        pipeline.run(source, loader_file_format="jsonl")
        with Path(job.output).open("wb") as output:
            for path in sorted(loaded.glob("bench/agents/*")):
                with path.open("rb") as part:
                    shutil.copyfileobj(part, output)

    return work


meter.run(prepare)
