"""``ListMessagesOperator``, against a sandbox over HTTP; the walk over the chats in process."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow_names import DAG
from numpy_integer import NumPyInteger

from airflow_provider_helpcrunch._airflow import ObjectStoragePath
from airflow_provider_helpcrunch.client.chat_messages import MOST_DOUBTS, ChatMessages
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchAuthError,
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchNotFoundError,
    HelpCrunchStorageError,
    HelpCrunchXComSizeError,
)
from airflow_provider_helpcrunch.operators.chat_ids import ChatIds
from airflow_provider_helpcrunch.operators.chats import ListChatsOperator
from airflow_provider_helpcrunch.operators.messages import ListMessagesOperator
from airflow_provider_helpcrunch.plurals import MOST_NAMED
from airflow_provider_helpcrunch.sandbox import Fault, Sandbox
from airflow_provider_helpcrunch.schema import CHATS, MESSAGES
from airflow_provider_helpcrunch.storage import Target, read_records

SetConnection = Callable[..., None]
StartSandbox = Callable[..., Sandbox]
TaskLog = Callable[[Any], list[str]]

FORMATS = ["jsonl", "json", "csv", "parquet", "jsonl.gz", "json.zst", "csv.gz"]
GONE = 9_999_999
"""An id that no chat has."""


def messages(chats: Any, **arguments: Any) -> Any:
    return ListMessagesOperator(task_id="messages", chats=chats, **arguments).execute({})  # type: ignore[arg-type]


def ids(records: Any) -> list[int]:
    return [record["id"] for record in records]


def wanted(server: Sandbox, chats: list[int], *left_out: str, newest_first: bool = True) -> list[int]:
    """Return the ids of the messages of some chats, chat by chat, without those of some types."""
    found: list[int] = []
    for chat in chats:
        some = [message["id"] for message in server.messages(chat) if message["type"] not in left_out]
        found += some[::-1] if newest_first else some
    return found


def everybodys(server: Sandbox) -> list[int]:
    """Return the ids of all messages that a customer sees or wrote, chat by chat."""
    return wanted(server, ids(server.chats), "private", "tech")


@pytest.fixture
def server(sandbox: StartSandbox, connection: SetConnection) -> Sandbox:
    server = sandbox(agents=8, chats=30, tech_messages=True)
    connection(server, requests_per_minute=10_000)
    return server


@pytest.fixture
def long_chat(server: Sandbox) -> int:
    """A chat of a few hundred messages."""
    from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook

    chat = int(server.chats[3]["id"])
    with HelpCrunchHook() as hook:
        for number in range(220):
            hook.client.send_message(chat, f"number {number}", agent=None)
    return chat


class TestChats:
    def test_of_one_chat_newest_first(self, server: Sandbox) -> None:
        chat = server.chats[3]["id"]
        for given in (chat, str(chat), {"id": chat, "status": "new"}, json.dumps({"id": chat}), [chat]):
            assert ids(messages(given)) == wanted(server, [chat], "private", "tech")

    def test_of_many_chats_in_the_order_given(self, server: Sandbox) -> None:
        chats = ids(server.chats)[12:4:-1]
        expected = wanted(server, chats, "private", "tech")
        for given in (
            *(chats, tuple(chats), json.dumps(chats), ", ".join(map(str, chats)), iter(chats)),
            *([{"id": str(chat)} for chat in chats], [*chats, *chats]),
        ):
            assert ids(messages(given)) == expected

    def test_one_request_for_each_chat(self, server: Sandbox) -> None:
        chats = [chat["id"] for chat in server.chats if server.messages(chat["id"])]
        messages(chats)
        assert [request.path for request in server.journal] == [
            f"/v1/chats/{chat}/messages" for chat in chats
        ]

    def test_of_a_list_from_xcom(self, server: Sandbox) -> None:
        chats = ListChatsOperator(task_id="chats").execute({})  # type: ignore[arg-type]
        assert ids(messages(chats)) == everybodys(server)

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_of_a_file_of_chats(self, suffix: str, server: Sandbox, tmp_path: Path) -> None:
        path = tmp_path / f"chats.{suffix}"
        receipt = ListChatsOperator(task_id="chats", output_path=str(path)).execute({})  # type: ignore[arg-type]
        expected = everybodys(server)
        for given in (
            *(receipt, json.dumps(receipt), str(path), path),
            ObjectStoragePath(f"file://{path}"),
        ):
            assert ids(messages(given)) == expected

    def test_of_a_file_of_a_data_frame(self, server: Sandbox, tmp_path: Path) -> None:
        """Data frames turn a column of numbers with gaps into floats, and write it so."""
        chats, path = ids(server.chats)[:4], tmp_path / "chats.parquet"
        pq.write_table(pa.table({"id": [float(chat) for chat in chats]}), path)
        assert ids(messages(str(path))) == wanted(server, chats, "private", "tech")

    @pytest.mark.parametrize("nothing", [[], (), "[]"])
    def test_of_no_chats(self, nothing: Any, server: Sandbox, tmp_path: Path) -> None:
        assert messages(nothing) == []
        assert messages(nothing, output_path=str(tmp_path / "messages.jsonl"))["records"] == 0
        assert server.journal == []

    def test_of_a_file_without_chats(self, server: Sandbox, tmp_path: Path) -> None:
        receipt = Target.resolve(str(tmp_path / "chats.parquet"), CHATS).write([])
        assert messages(receipt) == []
        assert server.journal == []

    @pytest.mark.parametrize("native", [True, False])
    def test_templates(self, *, native: bool, server: Sandbox) -> None:
        chats = ids(server.chats)[:3]
        with DAG("dag", schedule=None, render_template_as_native_obj=native):
            task = ListMessagesOperator(
                task_id="messages", chats="{{ params.chats | tojson }}", private_notes="{{ params.yes }}"
            )
        task.render_template_fields({"params": {"chats": chats, "yes": True}})  # type: ignore[typeddict-item]
        assert ids(task.execute({})) == wanted(server, chats, "tech")  # type: ignore[arg-type]

    @pytest.mark.parametrize("native", [True, False])
    def test_an_empty_list_from_a_template(self, *, native: bool, server: Sandbox) -> None:
        with DAG("dag", schedule=None, render_template_as_native_obj=native):
            task = ListMessagesOperator(task_id="messages", chats="{{ params.chats | tojson }}")
        task.render_template_fields({"params": {"chats": []}})  # type: ignore[typeddict-item]
        assert task.execute({}) == []  # type: ignore[arg-type]


class TestMessages:
    def test_private_notes_and_technical_rows_only_if_asked_for(self, server: Sandbox) -> None:
        chats = ids(server.chats)
        for arguments, left_out in (
            ({}, ("private", "tech")),
            ({"private_notes": True}, ("tech",)),
            ({"tech": "true"}, ("private",)),
            ({"private_notes": "True", "tech": True}, ()),
        ):
            assert ids(messages(chats, **arguments)) == wanted(server, chats, *left_out)  # type: ignore[arg-type]
        assert {message["type"] for message in server.truth("messages")} >= {"message", "private", "tech"}

    @pytest.mark.parametrize("page_size", [2, 7, 100])
    def test_of_a_long_chat(self, page_size: int, long_chat: int, server: Sandbox) -> None:
        chats = [server.chats[0]["id"], long_chat, server.chats[1]["id"]]
        newest = messages(chats, page_size=page_size)
        assert ids(newest) == wanted(server, chats, "private", "tech")
        oldest = messages(chats, page_size=page_size, oldest_first="true")
        assert ids(oldest) == wanted(server, chats, "private", "tech", newest_first=False)

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_in_a_file_of_each_format(self, suffix: str, server: Sandbox, tmp_path: Path) -> None:
        path = str(tmp_path / f"messages.{suffix}")
        receipt = messages(ids(server.chats), output_path=path, tech=True, private_notes=True)
        rows = list(read_records(receipt, table=MESSAGES))
        assert receipt == {
            **{"path": path, "records": len(server.truth("messages"))},
            **{"bytes": Path(path).stat().st_size, "format": suffix},
        }
        assert ids(rows) == wanted(server, ids(server.chats))
        truth = {message["id"]: message for message in server.truth("messages")}
        for row in rows:
            message = truth[row["id"]]
            assert (row["text"], row["chat"]) == (message["text"], message["chat"])
            assert (row["private"], row["tech"]) == (message["type"] == "private", message["type"] == "tech")

    def test_too_much_for_xcom(self, server: Sandbox) -> None:
        with pytest.raises(HelpCrunchXComSizeError, match="output_path"):
            messages(ids(server.chats), max_xcom_bytes=1000)
        assert len(server.journal) < 10


class TestFaults:
    def test_chats_that_are_gone_are_a_warning(
        self, server: Sandbox, client_log: list[str], tmp_path: Path
    ) -> None:
        chats = ids(server.chats)[:5]
        given = [GONE, *chats[:2], GONE + 1, *chats[2:]]
        receipt = messages(given, output_path=str(tmp_path / "messages.jsonl"))
        assert ids(read_records(receipt)) == wanted(server, chats, "private", "tech")
        (warning,) = receipt["warnings"]
        assert warning == (
            f"HelpCrunch did not find 2 of 7 chats, so the result lacks their messages: {GONE}, {GONE + 1}."
        )
        assert client_log.count(warning) == 1

    def test_nothing_at_all_is_found(self, server: Sandbox) -> None:
        """A wrong address answers 404 to everything, which must not pass for chats that are gone."""
        server.add_fault(Fault("status", status=404, times=0))
        with pytest.raises(HelpCrunchNotFoundError, match="check the API URL"):
            messages(ids(server.chats))
        chat = server.chats[0]["id"]
        asked = [request.path for request in server.journal]
        assert list(dict.fromkeys(asked)) == [
            f"/v1/chats/{chat}/messages",
            f"/v1/chats/{chat}",
            "/v1/chats/search",
            "/v1/chats",
        ]

    def test_404_for_messages_of_a_chat_that_exists(self, server: Sandbox) -> None:
        server.add_fault(Fault("status", status=404, path="*/messages", nth=3, times=0))
        with pytest.raises(HelpCrunchNotFoundError):
            messages(ids(server.chats))

    def test_a_server_that_begins_to_answer_404_to_everything(self, server: Sandbox) -> None:
        server.add_fault(Fault("status", status=404, nth=6, times=0))
        with pytest.raises(HelpCrunchNotFoundError, match="check the API URL"):
            messages(ids(server.chats))
        assert server.journal[-1].path == "/v1/chats"

    def test_of_each_chat_that_is_gone_it_makes_sure(self, server: Sandbox) -> None:
        chats = [chat["id"] for chat in server.chats if server.messages(chat["id"])][:3]
        given = [chats[0], GONE, GONE + 1, GONE + 2, *chats[1:], GONE + 3]
        assert ids(messages(given)) == wanted(server, chats, "private", "tech")
        paths = [request.path for request in server.journal]
        assert (len(paths), paths.count("/v1/chats/search")) == (len(given) + 2 * 4, 4)

    def test_all_chats_may_be_gone(self, server: Sandbox) -> None:
        assert messages([GONE]) == []
        assert messages(f"{GONE}, {GONE + 1}") == []

    @pytest.mark.parametrize(
        "given", [GONE, NumPyInteger(GONE), str(GONE), {"id": GONE}, f'{{"id": {GONE}}}']
    )
    def test_a_single_chat_must_exist(self, given: Any, server: Sandbox) -> None:
        with pytest.raises(HelpCrunchNotFoundError):
            messages(given)
        assert len(server.journal) == 1

    @pytest.mark.parametrize("oldest_first", [False, True])
    def test_a_chat_that_goes_while_it_is_read(
        self, *, oldest_first: bool, long_chat: int, server: Sandbox
    ) -> None:
        other = server.chats[0]["id"]
        server.add_fault(Fault("status", status=404, chat=long_chat, nth=3, times=0))
        found = ids(messages([long_chat, other], page_size=50, oldest_first=oldest_first))
        partly = wanted(server, [long_chat])[:99]
        last = wanted(server, [other], "private", "tech")
        assert found == (partly[::-1] + last[::-1] if oldest_first else partly + last)

    @pytest.mark.parametrize("kind", ["empty_page", "short_page", "close", "garbage", "ignore_offset"])
    def test_a_page_that_is_lost_once_is_read_again(self, kind: str, long_chat: int, server: Sandbox) -> None:
        server.add_fault(Fault(kind, chat=long_chat, nth=2))
        assert ids(messages(long_chat)) == wanted(server, [long_chat], "private", "tech")

    def test_a_failure_leaves_the_earlier_object(
        self, server: Sandbox, tmp_path: Path, task_log: TaskLog
    ) -> None:
        path = tmp_path / "messages.jsonl"
        path.write_text("the object of yesterday")
        server.add_fault(Fault("status", status=401, nth=4, times=0))
        operator = ListMessagesOperator(
            task_id="messages", chats=ids(server.chats)[:5], output_path=str(path)
        )
        lines = task_log(operator)
        with pytest.raises(HelpCrunchAuthError):
            operator.execute({})  # type: ignore[arg-type]
        assert path.read_text() == "the object of yesterday"
        assert lines[-1].startswith("Listing messages failed: ")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"chats": 0},
            "chats must be a HelpCrunch id (a whole number above 0), several, or records with an id, not 0",
        ),
        ({"chats": -1}, "not -1"),
        ({"chats": True}, "not True"),
        ({"chats": 4410021.0}, "not 4410021.0"),
        ({"chats": None}, "not None"),
        ({"chats": ""}, "gave no value"),
        ({"chats": "latest"}, "not 'latest'"),
        ({"chats": "('4410021',)"}, "tojson"),
        ({"chats": "[<chat>]"}, "tojson"),
        ({"chats": {}}, "not {}"),
        ({"chats": {"name": "Ada"}}, "not {'name': 'Ada'}"),
        ({"chats": [4410021, None]}, "not None"),
        ({"chats": [4410021, {"name": "Ada"}]}, "not {'name': 'Ada'}"),
        ({"chats": [[4410021]]}, "not [4410021]"),
        ({"chats": "{tmp}/chats.xlsx"}, "no suffix that names a format"),
        ({"chats": "{tmp}/wrong.jsonl"}, "chats must be a file of chats, such as that of ListChatsOperator"),
        ({"chats": "{tmp}/wrong.jsonl"}, "but record 2 of it has the id None"),
        ({"chats": 4410021, "oldest_first": "maybe"}, "oldest_first must be true or false"),
        ({"chats": 4410021, "private_notes": 2}, "private_notes must be true or false"),
        ({"chats": 4410021, "tech": None}, "tech must be true or false"),
    ],
    ids=str,
)
def test_refused_before_the_first_request(
    wrong: dict[str, Any], said: str, server: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "wrong.jsonl").write_text('{"id": 4410021}\n{"name": "Ada"}\n')
    arguments = {
        name: value.replace("{tmp}", str(tmp_path)) if isinstance(value, str) else value
        for name, value in wrong.items()
    }
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        messages(**arguments)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert server.journal == []


def test_a_missing_file_of_chats_is_an_error_before_the_first_request(
    server: Sandbox, tmp_path: Path
) -> None:
    with pytest.raises(HelpCrunchStorageError, match="There is no object"):
        messages(str(tmp_path / "chats.jsonl"))
    assert server.journal == []


def test_the_log_tells_how_many_messages_were_read(server: Sandbox, task_log: TaskLog) -> None:
    chats = [chat["id"] for chat in server.chats if server.messages(chat["id"])]
    operator = ListMessagesOperator(task_id="messages", chats=chats)
    lines = task_log(operator)
    kept, read = len(operator.execute({})), len(wanted(server, chats))  # type: ignore[arg-type]
    cost = f"({len(chats)} pages, {len(chats)} requests)"
    assert [line.partition(" in ")[0] for line in lines] == [f"Listed {kept} of {read} messages read {cost}"]


def test_the_log_tells_how_far_a_long_listing_is(
    server: Sandbox, task_log: TaskLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_helpcrunch.operators.progress.EVERY", 0.05)
    server.add_fault(Fault("latency", seconds=0.5, nth=2))
    operator = ListMessagesOperator(task_id="messages", chats=ids(server.chats)[:2])
    lines = task_log(operator)
    operator.execute({})  # type: ignore[arg-type]
    assert any(line.startswith("Listing messages: ") and " from 1 of 2 chats (" in line for line in lines)


class Held(dict[str, Any]):
    """A record of which it is known whether somebody still holds it."""

    held: ClassVar[weakref.WeakSet[Held]] = weakref.WeakSet()
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __init__(self, **fields: Any) -> None:
        super().__init__(fields)
        self.held.add(self)


class Chat(Iterator[Any]):
    """The listing of a chat whose messages are made while they are read."""

    def __init__(
        self, chat: int, number: int, *, doubt: bool = False, error: Exception | None = None
    ) -> None:
        self.pages = 1
        self.warnings = ["HelpCrunch reports 5 records, but the list ends after 4."] if doubt else []
        self._chat, self._error, self._left = chat, error, number
        self.is_closed = False

    def __next__(self) -> Any:
        if self._error is not None:
            raise self._error
        if not self._left:
            raise StopIteration
        self._left -= 1
        return Held(id=self._left, chat=self._chat, text="", private=False, tech=False)

    def close(self) -> None:
        self.is_closed = True


def gone() -> HelpCrunchNotFoundError:
    return HelpCrunchNotFoundError("gone", status_code=404, method="GET", path="/", attempts=1)


def walk_over(chats: Any, listing_of: Callable[[int], Any], **arguments: Any) -> ChatMessages:
    return ChatMessages(chats, listing_of, lambda *_: None, **arguments)


class TestWalk:
    @pytest.mark.parametrize(("oldest_first", "most"), [(False, 2), (True, 51)])
    def test_only_the_messages_of_one_chat_are_held(self, *, oldest_first: bool, most: int) -> None:
        """Newest first not even those: each message goes as soon as the next one comes."""
        walk = walk_over(range(20), lambda chat: Chat(chat, 50), oldest_first=oldest_first)
        held = [len(Held.held) for _ in walk]
        assert len(held) == walk.records == walk.read == 50 * 20
        assert max(held) <= most

    def test_of_a_file_only_the_ids_are_kept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        held: list[int] = []

        def chats(_: Any) -> Iterator[Held]:
            for number in range(1, 501):
                yield Held(id=number)
                held.append(len(Held.held))

        monkeypatch.setattr("airflow_provider_helpcrunch.storage.read_records", chats)
        assert ChatIds.of("chats", str(tmp_path / "chats.jsonl")) == (tuple(range(1, 501)), False)
        assert (len(held), max(held)) == (500, 1)

    def test_many_chats_that_are_gone_are_counted(self) -> None:
        walk = walk_over(range(1, 31), lambda chat: Chat(chat, 0, error=gone()))
        assert list(walk) == []
        (warning,) = walk.warnings
        assert warning.startswith(
            "HelpCrunch did not find 30 of 30 chats, so the result lacks their messages: 1, 2, "
        )
        assert warning.endswith(f", {MOST_NAMED} and 10 more.")
        assert (len(walk.missing), walk.chats_read, walk.place) == (30, 30, "30 of 30 chats")

    def test_doubts_about_chats_are_kept_up_to_a_number(self) -> None:
        walk = walk_over(range(1, 31), lambda chat: Chat(chat, 2, doubt=True))
        assert len(list(walk)) == 60
        assert walk.warnings[0] == "Chat 1: HelpCrunch reports 5 records, but the list ends after 4."
        assert walk.warnings[MOST_DOUBTS:] == ["10 more such warnings are in the log."]

    def test_closing_it_closes_the_chat(self) -> None:
        opened: list[Chat] = []

        def listing_of(chat: int) -> Any:
            opened.append(Chat(chat, 5))
            return opened[-1]

        walk = walk_over([1, 2], listing_of)
        next(walk)
        walk.close()
        assert [chat.is_closed for chat in opened] == [True]
        assert list(walk) == []

    def test_another_error_is_passed_on(self) -> None:
        walk = walk_over([1, 2], lambda chat: Chat(chat, 0, error=HelpCrunchError("no")))
        with pytest.raises(HelpCrunchError, match="no"):
            list(walk)
        assert walk.missing == []
