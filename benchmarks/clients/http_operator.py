"""Airflow's ``HttpOperator`` with ``pagination_function`` and ``response_filter``, as its documentation shows it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import airflow_process
import meter

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import Response

PAGE = 100


def next_page(response: Response) -> dict[str, Any] | None:
    """Return the parameters of the next page, by the total of this one."""
    offset = int(parse_qs(urlsplit(response.url).query)["offset"][0]) + PAGE
    more = offset < response.json()["meta"]["total"]
    return {"data": {"offset": offset, "limit": PAGE}} if more else None


def rows(responses: list[Response]) -> list[Any]:
    """Return the records of all pages."""
    return [agent for response in responses for agent in response.json()["data"]]


def prepare(job: meter.Job) -> Callable[[], None]:
    """Import the operator and make the task."""
    connection = {"conn_type": "http", "host": job.url, "extra": job.headers}
    os.environ["AIRFLOW_CONN_HELPCRUNCH_HTTP"] = json.dumps(connection)
    from airflow.providers.http.operators.http import HttpOperator

    airflow_process.load()
    agents = HttpOperator(
        task_id="agents",
        http_conn_id="HELPCRUNCH_HTTP",
        method="GET",
        endpoint="agents",
        data={"offset": 0, "limit": PAGE},
        pagination_function=next_page,
        response_filter=rows,
    )

    def work() -> None:
        with Path(job.output).open("w") as file:
            file.writelines(json.dumps(agent) + "\n" for agent in agents.execute({}))

    return work


meter.run(prepare)
