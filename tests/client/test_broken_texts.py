"""One broken text, as JavaScript and old databases leave them, does not keep the records around it from being read."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from answering_server import AnsweringServer, Asked

from airflow_provider_helpcrunch.client import HelpCrunchClient
from airflow_provider_helpcrunch.client.json_text import NotJSONError, decode
from airflow_provider_helpcrunch.exceptions import HelpCrunchBadRequestError, HelpCrunchResponseError
from airflow_provider_helpcrunch.schema import AGENTS
from airflow_provider_helpcrunch.storage import Target

pytestmark = pytest.mark.older

Connect = Callable[..., HelpCrunchClient]

BROKEN: dict[str, tuple[bytes, str]] = {
    "first half of an emoji": (rb"a \ud83d", "a �"),
    "first half, more behind": (rb"a \ud83d b", "a � b"),
    "first half before an escape": (rb"\ud83d\n", "�\n"),
    "first half before a whole one": (rb"\uD83D\ud83d\ude00", "�😀"),
    "second half of an emoji": (rb"\uDE00", "�"),
    "halves in the wrong order": (rb"\ude00\ud83d", "��"),
    "Latin-1": (b"Zo\xeb", "Zo�"),
    "cut in a character": (b"\xf0\x9f", "�"),
    "a raw surrogate": (b"\xed\xa0\xbd", "���"),
    "a raw line break": (b"a\nb", "a\nb"),
    "a raw control character": (b"a\x01\x1fb", "a\x01\x1fb"),
    "a raw NUL": (b"a\x00b", "a�b"),
    "all at once": (b"\xff\\ud83d\n\x00\xc3\xa9", "��\n�é"),
}


def page(text: bytes) -> bytes:
    """Return a page of three agents, of which the second has the text for a name."""
    return (
        b'{"data":[{"id":1,"name":"Ada"},{"id":2,"name":"%s"},{"id":3,"name":"\xf0\x9f\x98\x80"}],"meta":{"total":3}}'
        % text
    )


@pytest.mark.parametrize("kind", BROKEN)
def test_all_records_come_in_one_request_and_the_log_names_the_broken_one(
    client: Connect, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent, read = BROKEN[kind]
    with AnsweringServer(lambda _: page(sent)) as server, caplog.at_level(logging.WARNING):
        agents = client(server).list_agents()
    assert [agent["name"] for agent in agents] == ["Ada", read, "😀"]
    assert len(server.asked) == 1
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1
    assert all("record 2 (name)" in warning and "U+FFFD" in warning for warning in warnings)


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet", "jsonl.gz"])
def test_files_can_carry_what_was_read(kind: str, suffix: str, tmp_path: Path) -> None:
    payload, _ = decode(page(BROKEN[kind][0]))
    path = tmp_path / f"agents.{suffix}"
    assert Target.resolve(str(path), AGENTS, None).write(payload["data"])["records"] == 3
    if suffix == "jsonl":
        assert [json.loads(line) for line in path.read_text("utf-8").splitlines()] == payload["data"]


def test_the_outermost_record_is_named_and_the_field_in_it() -> None:
    body = rb'{"data":[{"id":7,"customer":{"id":5,"name":"\ud83d"},"tags":[{"name":"ok"},{"na\ud83d":1}]}]}'
    value, broken = decode(body)
    assert [place.encode("ascii", "replace") for place in broken] == [
        b"record 7 (customer.name)",
        b"record 7 (tags.1.na?)",
    ]
    assert value["data"][0]["tags"][1] == {"na�": 1}
    json.dumps(value, ensure_ascii=False).encode()


@pytest.mark.parametrize("change", [False, True])
def test_a_single_chat(client: Connect, change: bool, caplog: pytest.LogCaptureFixture) -> None:
    body = b'{"id":7,"status":"closed","assignee":{"id":71},"lastMessageText":"so \\ud83d"}'
    with AnsweringServer(lambda _: body) as server:
        caller = client(server)
        chat = caller.update_chat_assignee(7, 71) if change else caller.get_chat(7)
    assert chat["lastMessageText"] == "so �"
    assert len(server.asked) == 1
    assert "record 7 (lastMessageText)" in caplog.text


@pytest.mark.parametrize("text", [rb"No \ud83d", b"No \xeb", b"No \x00", b"No\n\x01"])
def test_an_error_envelope(client: Connect, text: bytes) -> None:
    body = b'\xef\xbb\xbf{"errors":[{"code":"invalid","message":"%s"}]}' % text
    with (
        AnsweringServer(lambda _: (400, body)) as server,
        pytest.raises(HelpCrunchBadRequestError, match="invalid: No") as caught,
    ):
        client(server).list_agents()
    str(caught.value).encode()


def test_a_byte_order_mark_and_a_broken_text(client: Connect) -> None:
    with AnsweringServer(lambda _: b"\xef\xbb\xbf" + page(b"\xff")) as server:
        assert len(client(server).list_agents()) == 3


NOT_JSON = [
    b"",
    b"<html>",
    b'{"data":[',
    b'{"data":[],}',
    b"{'data':[]}",
    b'{"data":[NaN]}',
    b'{"data":["\\ud83d", NaN]}',
    b'{"data":["\\ud83d", -Infinity]}',
    b'{"data":["\\ud83d", 1e400]}',
    b'{"data":["\xff"',
    b'{"data":[]}\xff',
    b'\xff{"data":[]}',
    b'{"data":[]}\x00',
    b'{"a":"\\ud83"}',
    b'{"a":"\\x41\xff"}',
    b'["\xff",' + b"1" * 5000 + b"]",
    b'["\xff"' + b"[" * 100_000,
    b'{"data":[{"id":1001,"na\x00\xff',
]


@pytest.mark.parametrize("body", NOT_JSON, ids=range(len(NOT_JSON)))
def test_what_is_not_json_stays_an_error(body: bytes) -> None:
    with pytest.raises(NotJSONError) as caught:
        decode(body)
    assert caught.value.__context__ is None


def test_it_is_retried_and_then_raised(client: Connect) -> None:
    with (
        AnsweringServer(lambda _: b'{"data":["\xff"') as server,
        pytest.raises(HelpCrunchResponseError, match="not JSON"),
    ):
        client(server).list_agents()
    assert len(server.asked) > 1


def test_many_broken_texts_are_counted(client: Connect, caplog: pytest.LogCaptureFixture) -> None:
    def answer(_: Asked) -> Any:
        rows = b",".join(b'{"id":%d,"name":"\xff"}' % number for number in range(1, 51))
        return b'{"data":[%s],"meta":{"total":50}}' % rows

    with AnsweringServer(answer) as server:
        assert len(client(server).list_agents()) == 50
    assert "record 20 (name) and 30 more" in caplog.text


def test_a_key_in_the_name_of_a_field_is_not_logged(
    client: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    key = "SECRETKEYabcdefghijklmnopqrstuvwxyz0123456789"
    body = b'{"data":[{"id":1,"%s":"\xff"}],"meta":{"total":1}}' % key.encode()
    with AnsweringServer(lambda _: body) as server:
        client(server, key=key).list_agents()
    assert "record 1" in caplog.text
    assert key not in caplog.text
