"""A hand-over with notes in a process of its own, killed by SIGKILL, and its retry: no note is there twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_provider_helpcrunch.sandbox import Fault, Sandbox

HERE = Path(__file__).parent
CHATS, MOST = 60, 12
KILLED_AT = 11
"""Notes after which the worker is killed."""


def start(server: Sandbox, folder: Path) -> subprocess.Popen[bytes]:
    arguments: dict[str, Any] = {"from_agents": 1001, "to_agents": [1002, 1003, 1004], "max_per_agent": MOST}
    arguments |= {"store": True, "note": "Handed over.", "note_agent": 1005}
    env = {
        **os.environ,
        "TMPDIR": str(folder),
        "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]),
        "AIRFLOW_CONN_HELPCRUNCH_DEFAULT": server.connection(requests_per_minute=3000),
    }
    with (folder / "log.txt").open("ab") as log:
        command = [
            sys.executable,
            "-W",
            "ignore",
            str(HERE / "hand_over.py"),
            str(folder),
            json.dumps(arguments),
        ]
        return subprocess.Popen(command, env=env, stdout=log, stderr=log)


def notes(server: Sandbox) -> dict[int, int]:
    """Return the number of notes in each chat that has any."""
    found = {
        chat["id"]: sum(each["type"] == "private" for each in server.messages(chat["id"]))
        for chat in server.chats
    }
    return {chat: count for chat, count in found.items() if count}


def test_each_moved_chat_has_its_note_once(sandbox: Callable[..., Sandbox], tmp_path: Path) -> None:
    server = sandbox(agents=6, chats=0)
    server.insert_chats(CHATS, assignee=1001)
    server.insert_chats(5, assignee=1003)
    # So that the worker dies with a note on its way: its response never comes.
    server.add_fault(Fault("hang", path="/v1/messages", nth=KILLED_AT))
    worker = start(server, tmp_path)
    try:
        while len(server.requests("/v1/messages")) < KILLED_AT and worker.poll() is None:
            time.sleep(0.002)
    finally:
        worker.kill()
    assert worker.wait() == -9
    worker = start(server, tmp_path)
    try:
        assert worker.wait(300) == 0, (tmp_path / "log.txt").read_text()[-5000:]
    finally:
        worker.kill()
        worker.wait()
    result = json.loads((tmp_path / "xcom.json").read_text())["return_value"]
    moved = {write.chat for write in server.writes()}
    assert [len(server.chats_of(agent)) for agent in (1002, 1003, 1004)] == [MOST] * 3
    assert (result["changed"], result["left"]) == (len(moved), CHATS - len(moved))
    assert set(notes(server).values()) == {1}
    # A note before which the worker died is missing, and reported.
    told = {chat["id"] for chat in result["chats"] if chat["field"] == "note"}
    assert moved - notes(server).keys() == told
    assert len(told) <= 1
    assert len(server.writes()) == len(moved)
