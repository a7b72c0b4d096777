"""The reports, on a handful of records written by the package's own writer, with rows computed by hand."""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from code_blocks import sample

from airflow_provider_helpcrunch import reports
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.exports.run import Resource
from airflow_provider_helpcrunch.privacy import Privacy
from airflow_provider_helpcrunch.schema import AGENTS, CHATS, CUSTOMERS, DEPARTMENTS, MESSAGES, Table
from airflow_provider_helpcrunch.storage import Target

pytest.importorskip("duckdb")

TABLES = {
    "chats": CHATS,
    "messages": MESSAGES,
    "customers": CUSTOMERS,
    "agents": AGENTS,
    "departments": DEPARTMENTS,
    "chat_changes": Resource(CHATS, "parquet").changes,
}

START = 1_714_554_000
"""The time of second 0 in these tests: 2024-05-01 09:00:00 UTC."""

Run = Callable[..., list[dict[str, Any]]]

Records = list[dict[str, Any]]


def time_of(second: float) -> datetime:
    return datetime.fromtimestamp(START + second, UTC)


def agent(number: int) -> dict[str, Any]:
    return {"id": number, "name": f"agent {number}", "email": f"agent{number}@shop.example", "role": "agent"}


def department(number: int) -> dict[str, Any]:
    return {"id": number, "name": f"department {number}"}


def chat(number: int, **fields: Any) -> dict[str, Any]:
    customer = {"id": 100 + number, "name": None, "email": None, "userId": None}
    return {"id": number, "status": "opened", "createdAt": str(START), "customer": customer, **fields}


def closed(number: int, second: float, **fields: Any) -> dict[str, Any]:
    fields = {"closedBy": "agent", **fields}
    return chat(number, status="closed", closedAt=f"{START + second:.3f}", **fields)


def asked(number: int, second: float, text: str | None = "question", **fields: Any) -> dict[str, Any]:
    fields = {"chat": 1, "from": "customer", "type": "message", **fields}
    return {"id": number, "createdAt": f"{START + second:.3f}", "text": text, **fields}


def replied(
    number: int, second: float, text: str | None = "answer", by: int = 1, **fields: Any
) -> dict[str, Any]:
    return asked(number, second, text, **{"from": "agent", "agent": agent(by), **fields})


def changed(record: dict[str, Any], second: float, change: str = "updated") -> dict[str, Any]:
    return {**record, "change": change, "seenAt": START + second}


@pytest.fixture
def connection() -> Iterator[Any]:
    with reports.connect() as connection:
        yield connection


@pytest.fixture
def run(connection: Any, tmp_path: Path) -> Run:
    """Write the records of each view to a Parquet file, and run a report on the files."""

    def run(name: str, **records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        paths: dict[str, list[str]] = {}
        for view, rows in records.items():
            target = Target.resolve(str(tmp_path / view / "snapshot-00000.parquet"), TABLES[view])
            paths[view] = [target.write(rows)["path"]]
        reports.views(connection, **paths)
        return reports.report(connection, name)

    return run


def written(path: Path, table: Table, records: Records, **choice: Any) -> str:
    """Write records as an export with a choice of columns does, and return the path."""
    privacy = Privacy.of(table, **choice)
    target = Target.resolve(str(path), privacy.table)
    written: str = target.write(map(privacy.apply, records))["path"]
    return written


def picked(rows: list[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in rows]


class TestFirstResponse:
    def test_a_reply(self, run: Run) -> None:
        rows = run(
            "first_response",
            chats=[chat(1, department=department(7), assignee=agent(3))],
            messages=[replied(12, 90.541, by=2), asked(11, 30.5), replied(13, 95, by=3), asked(10, 10)],
        )
        assert rows == [
            {
                "chat": 1,
                "department": 7,
                "department_name": "department 7",
                "agent": 2,
                "agent_name": "agent 2",
                "first_message_at": time_of(10),
                "first_reply_at": time_of(90.541),
                "first_response_seconds": 80.541,
            }
        ]

    @pytest.mark.parametrize(
        "messages",
        [
            [],
            [asked(1, 0)],
            [asked(1, 0), asked(2, 5)],
            [replied(1, 0)],
            [replied(1, 0), asked(2, 5)],
            [asked(1, 0), replied(2, 5, type="private")],
            [asked(1, 0), replied(2, 5, "chat_auto_assigned", type="tech", agent={"id": 1})],
            [asked(1, 0), replied(2, 5, type="knowledgeBase")],
            [asked(1, 0), replied(2, 5, broadcastType="auto chat")],
            [asked(1, 0), replied(2, 5, type="email", broadcastType="manual email")],
            [asked(1, 0, chat=2), replied(2, 5, chat=2)],
            [asked(1, 0), replied(2, 5, chat=2)],
            # A private note that was sent through the API without an agent.
            [asked(1, 0, type="private"), replied(2, 5)],
        ],
    )
    def test_no_reply(self, run: Run, messages: list[dict[str, Any]]) -> None:
        (row,) = run("first_response", chats=[chat(1)], messages=messages)
        assert (row["chat"], row["agent"], row["first_reply_at"], row["first_response_seconds"]) == (
            1,
            None,
            None,
            None,
        )

    @pytest.mark.parametrize(
        ("before", "expected"),
        [
            pytest.param([asked(1, 0), replied(2, 5, type="private", by=2)], 60, id="private note first"),
            pytest.param([asked(1, 0), replied(2, 5, type="tech", agent=None)], 60, id="tech row first"),
            pytest.param([replied(1, -20, broadcastType="trigger"), asked(2, 10)], 50, id="broadcast first"),
            pytest.param([replied(1, -20), asked(2, 10)], 50, id="agent first"),
            pytest.param(
                [asked(1, 0, type="email"), replied(2, 1, broadcastType="auto email")], 60, id="email"
            ),
            pytest.param([asked(1, 20), replied(2, 20, type="private")], 40, id="note at the same time"),
        ],
    )
    def test_what_is_passed_over(self, run: Run, before: list[dict[str, Any]], expected: float) -> None:
        rows = run("first_response", chats=[chat(1)], messages=[*before, replied(9, 60)])
        assert picked(rows, "agent", "first_response_seconds") == [(1, expected)]

    def test_equal_times_go_by_id(self, run: Run) -> None:
        chats = [chat(1), chat(2)]
        ties = [replied(3, 0, by=3), replied(2, 0, by=2), asked(1, 0)]
        reply_first = [replied(4, 0, chat=2), asked(5, 0, chat=2), replied(6, 8, chat=2)]
        rows = run("first_response", chats=chats, messages=[*ties, *reply_first])
        assert picked(rows, "chat", "agent", "first_response_seconds") == [(1, 2, 0.0), (2, 1, 8.0)]

    def test_a_reply_without_an_agent_counts(self, run: Run) -> None:
        rows = run("first_response", chats=[chat(1)], messages=[asked(1, 0), replied(2, 5, agent=None)])
        assert picked(rows, "agent", "agent_name", "first_response_seconds") == [(None, None, 5.0)]

    def test_reopening_changes_nothing(self, run: Run) -> None:
        messages = [asked(1, 0), replied(2, 5), asked(3, 9_000), replied(4, 9_100)]
        rows = run("first_response", chats=[chat(1, closedAt=str(START + 100))], messages=messages)
        assert picked(rows, "first_response_seconds") == [(5.0,)]


class TestTimeToClose:
    def test_closed_chats(self, run: Run) -> None:
        chats = [
            closed(2, 7_200.12, department=department(7), assignee=agent(3)),
            closed(1, 60, closedBy="customer"),
        ]
        assert run("time_to_close", chats=chats) == [
            {
                "chat": 1,
                "department": None,
                "department_name": None,
                "assignee": None,
                "assignee_name": None,
                "closed_by": "customer",
                "created_at": time_of(0),
                "closed_at": time_of(60),
                "seconds_to_close": 60.0,
            },
            {
                "chat": 2,
                "department": 7,
                "department_name": "department 7",
                "assignee": 3,
                "assignee_name": "agent 3",
                "closed_by": "agent",
                "created_at": time_of(0),
                "closed_at": time_of(7_200.12),
                "seconds_to_close": 7_200.12,
            },
        ]

    def test_a_reopened_chat_has_no_row_even_if_a_time_of_closing_stays(self, run: Run) -> None:
        assert run("time_to_close", chats=[chat(1, closedAt=str(START + 60)), chat(2)]) == []

    def test_a_closed_chat_without_a_time(self, run: Run) -> None:
        assert picked(run("time_to_close", chats=[chat(1, status="closed")]), "seconds_to_close") == [(None,)]


def figures(rows: list[dict[str, Any]], key: str) -> dict[int | None, tuple[Any, ...]]:
    columns = (
        "created",
        "open_now",
        "closed",
        "replies",
        "median_first_response_seconds",
        "median_seconds_to_close",
    )
    return {row[key]: tuple(row[column] for column in columns) for row in rows}


TEAM: dict[str, list[dict[str, Any]]] = {
    "chats": [
        chat(1, assignee=agent(1), department=department(7)),
        chat(2, assignee=agent(1), department=department(7), status="empty"),
        closed(3, 100, assignee=agent(1), department=department(7)),
        closed(4, 200, assignee=agent(1), department=department(8)),
        closed(5, 600, assignee=agent(2)),
        chat(6, department=department(9), status="no communication"),
        # Reopened: the earlier closing is no more.
        chat(7, assignee=agent(4), department=department(7), closedAt=str(START + 10), status="pending"),
    ],
    "messages": [
        asked(1, 0),
        replied(2, 10, by=1),
        replied(3, 20, by=2),
        replied(4, 30, by=1, type="private"),
        replied(5, 40, by=1, type="tech", agent={"id": 1}),
        replied(6, 0, by=1, chat=3, broadcastType="trigger"),
        asked(7, 1, chat=3),
        replied(8, 31, by=1, chat=3),
        asked(9, 0, chat=4),
        replied(10, 80, by=1, chat=4),
        asked(11, 0, chat=5),
        replied(12, 50, by=1, chat=5),
        replied(13, 60, by=5, chat=5, type="email"),
        asked(14, 0, chat=6),
        # Of a chat that the chats' export does not have.
        asked(15, 0, chat=99),
        replied(16, 1, by=2, chat=99),
    ],
}


class TestChatsPerAgent:
    def test_figures(self, run: Run) -> None:
        rows = run("chats_per_agent", agents=[agent(3), agent(2), agent(1)], **TEAM)
        assert [row["agent"] for row in rows] == [1, 2, 3, 4, 5, None]
        assert figures(rows, "agent") == {
            # First responses of 10, 30, 80 and 50 seconds, closed after 100 and 200.
            1: (4, 1, 2, 4, 40.0, 150.0),
            2: (1, 0, 1, 2, None, 600.0),
            3: (0, 0, 0, 0, None, None),
            4: (1, 1, 0, 0, None, None),
            5: (0, 0, 0, 1, None, None),
            None: (1, 1, 0, 0, None, None),
        }
        assert [row["agent_name"] for row in rows] == [*(f"agent {number}" for number in range(1, 6)), None]

    def test_the_medians_are_those_of_the_reports_on_single_chats(self, run: Run, connection: Any) -> None:
        rows = figures(run("chats_per_agent", agents=[], **TEAM), "agent")
        of_single_chats = {
            "first_response": ("agent", "first_response_seconds", 4),
            "time_to_close": ("assignee", "seconds_to_close", 5),
        }
        for name, (who, seconds, place) in of_single_chats.items():
            single = reports.report(connection, name)
            for number, row in rows.items():
                values = [one[seconds] for one in single if one[who] == number and one[seconds] is not None]
                assert row[place] == (statistics.median(values) if values else None)

    def test_the_name_is_that_of_the_account(self, run: Run) -> None:
        rows = run("chats_per_agent", agents=[{**agent(1), "name": "агент 1 ✓"}], **TEAM)
        assert rows[0]["agent_name"] == "агент 1 ✓"

    def test_no_row_for_nobody_if_all_chats_are_assigned(self, run: Run) -> None:
        rows = run("chats_per_agent", agents=[], chats=[chat(1, assignee=agent(1))], messages=[])
        assert picked(rows, "agent", "created") == [(1, 1)]


class TestChatsPerDepartment:
    def test_figures(self, run: Run) -> None:
        departments = [{**department(number), "agents": []} for number in (7, 8, 10)]
        rows = run("chats_per_department", departments=departments, **TEAM)
        assert [row["department"] for row in rows] == [7, 8, 9, 10, None]
        assert figures(rows, "department") == {
            # First responses of 10 and 30 seconds.
            7: (4, 2, 1, 3, 20.0, 100.0),
            8: (1, 0, 1, 1, 80.0, 200.0),
            9: (1, 1, 0, 0, None, None),
            10: (0, 0, 0, 0, None, None),
            None: (1, 0, 1, 2, 50.0, 600.0),
        }
        names = [f"department {number}" for number in (7, 8, 9, 10)]
        assert [row["department_name"] for row in rows] == [*names, None]


class TestReassignments:
    def test_versions_that_differ(self, run: Run) -> None:
        changes = [
            changed(chat(1), 0, "inserted"),
            changed(chat(1, assignee=agent(1)), 600),
            changed(chat(1, assignee={**agent(1), "name": "new name"}, status="pending"), 1200),
            # This export saw another chat change, and this one as it was.
            changed(chat(2), 1500),
            changed(chat(1, assignee=agent(2)), 1800),
            changed(chat(1), 2400),
        ]
        columns = ("kind", "from_agent", "from_name", "to_agent", "to_name", "seen_before", "seen")
        rows = run("reassignments", chat_changes=list(reversed(changes)))
        assert {row["chat"] for row in rows} == {1}
        assert picked(rows, *columns) == [
            ("assigned", None, None, 1, "agent 1", time_of(0), time_of(600)),
            ("reassigned", 1, "new name", 2, "agent 2", time_of(1500), time_of(1800)),
            ("unassigned", 2, "agent 2", None, None, time_of(1800), time_of(2400)),
        ]

    def test_chats_are_kept_apart_and_the_first_version_has_no_row(self, run: Run) -> None:
        changes = [
            changed(chat(1, assignee=agent(1)), 0, "inserted"),
            changed(chat(2, assignee=agent(2)), 0, "inserted"),
            changed(chat(3, assignee=agent(3)), 600),
            changed(chat(2, assignee=agent(1)), 600),
        ]
        rows = run("reassignments", chat_changes=changes)
        assert picked(rows, "chat", "from_agent", "to_agent") == [(2, 2, 1)]

    def test_two_exports_within_one_second(self, run: Run) -> None:
        changes = [changed(chat(1, assignee=agent(2)), 0), changed(chat(1, assignee=agent(1)), 0, "inserted")]
        rows = run("reassignments", chat_changes=changes)
        assert picked(rows, "from_agent", "to_agent", "seen_before", "seen") == [
            (1, 2, time_of(0), time_of(0))
        ]

    def test_a_deletion_is_no_version(self, run: Run) -> None:
        changes = [
            changed(chat(1, assignee=agent(1)), 0, "inserted"),
            changed(chat(1), 600, "deleted"),
            changed(chat(1, assignee=agent(1)), 1200, "inserted"),
            changed(chat(2, assignee=agent(1)), 0, "inserted"),
            changed(chat(2, assignee=agent(1)), 600, "deleted"),
            changed(chat(2, assignee=agent(2)), 1200, "inserted"),
        ]
        rows = run("reassignments", chat_changes=changes)
        assert picked(rows, "chat", "from_agent", "to_agent", "seen_before", "seen") == [
            (2, 1, 2, time_of(0), time_of(1200))
        ]


class TestTranscripts:
    def test_a_conversation(self, run: Run) -> None:
        messages = [
            replied(16, 125.9, "Доброго ранку! 🙂"),
            asked(11, 60, "Hello,\r\nis anybody there?\n\nYours"),
            replied(12, 65, "known customer", type="private"),
            replied(13, 66, "chat_auto_assigned", type="tech", agent={"id": 1}),
            replied(14, 70, "How to return goods", type="knowledgeBase", by=2),
            replied(10, 0, "Welcome", broadcastType="trigger", agent=None),
            replied(15, 90, None),
            asked(17, 86_400, " \n"),
        ]
        people = [{"id": 101, "name": "customer 1"}]
        chats = [chat(1, assignee=agent(1), department=department(7))]
        (row,) = run("transcripts", chats=chats, customers=people, messages=messages)
        assert row == {
            "chat": 1,
            "customer": 101,
            "customer_name": "customer 1",
            "department_name": "department 7",
            "assignee_name": "agent 1",
            "status": "opened",
            "created_at": time_of(0),
            "messages": 7,
            "transcript": "\n".join(
                [
                    "[2024-05-01 09:00:00 UTC] Broadcast: Welcome",
                    "[2024-05-01 09:01:00 UTC] Customer: Hello,",
                    "    is anybody there?",
                    "    ",
                    "    Yours",
                    "[2024-05-01 09:01:05 UTC] Private note of agent 1: known customer",
                    "[2024-05-01 09:01:10 UTC] Article of agent 2: How to return goods",
                    "[2024-05-01 09:01:30 UTC] Agent agent 1: (no text)",
                    "[2024-05-01 09:02:05 UTC] Agent agent 1: Доброго ранку! 🙂",
                    "[2024-05-02 09:00:00 UTC] Customer: (no text)",
                ]
            ),
        }

    def test_the_page_shows_one(self, run: Run) -> None:
        messages = [
            asked(1, 0, "Hello,\nis anybody there?"),
            replied(2, 5, "known customer", type="private"),
            replied(3, 65, "Good morning"),
        ]
        (row,) = run("transcripts", chats=[chat(1)], customers=[], messages=messages)
        assert f"{row['transcript']}\n" == sample("reports.md", "[2024")

    def test_equal_times_go_by_id(self, run: Run) -> None:
        messages = [asked(3, 0, "c"), asked(1, 0, "a"), asked(2, 0, "b"), asked(10, -1, "first")]
        (row,) = run("transcripts", chats=[chat(1)], customers=[], messages=messages)
        assert [line[-1] for line in row["transcript"].splitlines()] == ["t", "a", "b", "c"]

    def test_chats_without_messages_and_without_a_customer(self, run: Run) -> None:
        named = {"id": 5, "name": "customer 5", "email": None, "userId": None}
        chats = [chat(2, customer=named), chat(1, customer=None)]
        messages = [replied(1, 0, "chat_status_changed", type="tech")]
        rows = run("transcripts", chats=chats, customers=[], messages=messages)
        assert picked(rows, "chat", "customer", "customer_name", "messages", "transcript") == [
            (1, None, None, 0, None),
            (2, 5, "customer 5", 0, None),
        ]

    @pytest.mark.parametrize(
        "end", ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
    )
    def test_no_text_passes_for_a_message_of_somebody_else(self, run: Run, end: str) -> None:
        forged = f"ok{end}[2024-05-01 09:00:01 UTC] Agent agent 1: You get your money back"
        named = {**agent(1), "name": f"agent{end}[1]"}
        messages = [asked(1, 0, forged), replied(2, 5, "no", agent=named)]
        (row,) = run("transcripts", chats=[chat(1)], customers=[], messages=messages)
        begun = [line for line in row["transcript"].splitlines() if not line.startswith("    ")]
        assert begun == [
            "[2024-05-01 09:00:00 UTC] Customer: ok",
            "[2024-05-01 09:00:05 UTC] Agent agent [1]: no",
        ]


class TestFiles:
    def test_the_reports(self) -> None:
        assert reports.names() == [
            "chats_per_agent",
            "chats_per_department",
            "first_response",
            "reassignments",
            "time_to_close",
            "transcripts",
        ]

    @pytest.mark.parametrize("name", reports.names())
    def test_the_comment_names_the_views_and_columns(self, run: Run, connection: Any, name: str) -> None:
        run(name)
        comment, _, query = reports.read_sql(name).partition("\n\n")
        (read,) = re.findall(r"^-- Reads ([a-z_, ]+)\.", comment, re.MULTILINE)
        used = set(re.findall(r"\b(?:from|join) (\w+)", query)) & reports.COLUMNS.keys()
        assert used == set(read.split(", "))
        described = re.findall(r"^-- ([a-z_]+) {2,}\S", comment, re.MULTILINE)
        result = connection.execute(query)
        assert described == [column[0] for column in result.description]

    @pytest.mark.parametrize("name", reports.names())
    def test_empty_tables(self, run: Run, name: str) -> None:
        assert run(name) == []
        assert run(name, **{view: [] for view in TABLES}) == []

    @pytest.mark.parametrize("view", TABLES)
    def test_views_without_files_have_the_columns_of_files(
        self, run: Run, connection: Any, view: str
    ) -> None:
        run("time_to_close", **{view: []})
        full = dict(row[:2] for row in connection.execute(f"DESCRIBE {view}").fetchall())
        run("time_to_close")
        empty = dict(row[:2] for row in connection.execute(f"DESCRIBE {view}").fetchall())
        assert empty.items() <= full.items()

    def test_several_files_and_their_names(self, connection: Any, tmp_path: Path) -> None:
        paths = []
        for number, name in enumerate(["it's/snapshot-00000", "id=5/ü b/snapshot-00001"]):
            target = Target.resolve(str(tmp_path / f"{name}.parquet"), CHATS)
            paths.append(target.write([closed(number, 60)])["path"])
        reports.views(connection, chats=paths)
        assert picked(reports.report(connection, "time_to_close"), "chat") == [(0,), (1,)]

    def test_a_file_of_an_older_export_may_lack_columns(self, connection: Any, tmp_path: Path) -> None:
        older = Table("chats", tuple(column for column in CHATS.columns if column.name != "closedBy"))
        paths = [
            Target.resolve(str(tmp_path / f"{number}.parquet"), table).write([closed(number, 60)])["path"]
            for number, table in enumerate([older, CHATS])
        ]
        reports.views(connection, chats=paths)
        assert picked(reports.report(connection, "time_to_close"), "closed_by") == [(None,), ("agent",)]

    def test_columns_that_were_left_out_of_an_export_are_null(self, connection: Any, tmp_path: Path) -> None:
        def left(table: Table, *out: str) -> Table:
            return Table(table.name, tuple(column for column in table.columns if column.name not in out))

        chats = Target.resolve(str(tmp_path / "chats.parquet"), left(CHATS, "customer", "assignee"))
        messages = Target.resolve(str(tmp_path / "messages.parquet"), left(MESSAGES, "text", "agent"))
        paths = {
            "chats": [chats.write([chat(1)])["path"]],
            "messages": [messages.write([asked(1, 0), replied(2, 5)])["path"]],
        }
        reports.views(connection, **paths)
        (row,) = reports.report(connection, "transcripts")
        assert row["transcript"].splitlines() == [
            "[2024-05-01 09:00:00 UTC] Customer: (text left out)",
            "[2024-05-01 09:00:05 UTC] Agent: (text left out)",
        ]
        assert picked(reports.report(connection, "first_response"), "first_response_seconds") == [(5.0,)]

    @pytest.mark.parametrize("name", reports.names())
    def test_parts_that_were_left_out_are_null(self, name: str, connection: Any, tmp_path: Path) -> None:
        """The columns are those of the example of a nightly warehouse, and fewer."""
        choices = {
            "chats": [
                "-lastMessageText",
                "-customer.name",
                "-customer.email",
                "-customer.userId",
                "-assignee.name",
            ],
            "messages": ["-text", "-agent.name", "-agent.email", "-agent.role"],
            "customers": ["firstSeen", "company"],
        }
        records = {
            "chats": [chat(1, assignee=agent(2), department=department(7)), chat(2)],
            "messages": [asked(1, 0), replied(2, 5)],
            "customers": [{"id": 101, "name": "somebody"}],
        }
        paths = {}
        for view, columns in choices.items():
            privacy = Privacy.of(TABLES[view], columns)
            target = Target.resolve(str(tmp_path / f"{view}.parquet"), privacy.table)
            paths[view] = [target.write(map(privacy.apply, records[view]))["path"]]
        reports.views(connection, **paths)
        rows = reports.report(connection, name)
        expected = {"first_response": 1, "transcripts": 2, "chats_per_agent": 2}
        assert len(rows) >= expected.get(name, 0)
        assert "somebody" not in str(rows)
        assert "agent 2" not in str(rows)

    def test_times_do_not_depend_on_the_time_zone_of_the_connection(self, run: Run, connection: Any) -> None:
        connection.execute("SET TimeZone = 'Asia/Kathmandu'")
        assert picked(run("time_to_close", chats=[closed(1, 60)]), "closed_at") == [(time_of(60),)]
        (row,) = run("transcripts", chats=[chat(1)], messages=[asked(1, 0, "a")])
        assert row["transcript"] == "[2024-05-01 09:00:00 UTC] Customer: a"


HISTORY = [
    changed(chat(1), 0, "inserted"),
    changed(chat(2, assignee=agent(2)), 0, "inserted"),
    changed(chat(1, assignee=agent(1)), 600),
    changed(chat(2), 600),
]

CHOICES: list[tuple[str, dict[str, Any]]] = []
"""Each column and part of a column that a report uses left out, and each number and time hashed."""
for _view, _columns in {
    **reports.COLUMNS,
    "chat_changes": {"assignee": "STRUCT(id BIGINT, name VARCHAR)"},
}.items():
    for _column, _kind in _columns.items():
        if _column not in {"id", "chat"}:
            _parts = dict(re.findall(r"\b(id|name) (\w+)", _kind))
            _names = {_column: _kind, **{f"{_column}.{part}": kind for part, kind in _parts.items()}}
            CHOICES += [(_view, {"columns": [f"-{name}"]}) for name in _names]
            CHOICES += [
                (_view, {"hashed": [name], "salt": "salt"})
                for name, kind in _names.items()
                if kind in {"BIGINT", "TIMESTAMPTZ"}
            ]

LOAD = {"created", "open_now", "closed", "median_seconds_to_close"}
REPLIES = {"replies", "median_first_response_seconds"}
REPLY = {"agent", "agent_name", "first_reply_at", "first_response_seconds"}
UNKNOWN: dict[str, dict[str, set[str]]] = {
    "chats.status": {
        "chats_per_agent": LOAD - {"created"},
        "chats_per_department": LOAD - {"created"},
        "transcripts": {"status"},
    },
    "chats.closedBy": {"time_to_close": {"closed_by"}},
    "chats.closedAt": {
        "chats_per_agent": {"median_seconds_to_close"},
        "chats_per_department": {"median_seconds_to_close"},
        "time_to_close": {"closed_at", "seconds_to_close"},
    },
    "chats.createdAt": {
        "chats_per_agent": {"median_seconds_to_close"},
        "chats_per_department": {"median_seconds_to_close"},
        "time_to_close": {"created_at", "seconds_to_close"},
        "transcripts": {"created_at"},
    },
    "chats.customer": {"transcripts": {"customer", "customer_name"}},
    "chats.customer.id": {"transcripts": {"customer"}},
    "chats.customer.name": {"transcripts": {"customer_name"}},
    "chats.assignee": {
        "chats_per_agent": LOAD,
        "time_to_close": {"assignee", "assignee_name"},
        "transcripts": {"assignee_name"},
    },
    "chats.assignee.id": {"chats_per_agent": LOAD, "time_to_close": {"assignee"}},
    "chats.assignee.name": {
        "chats_per_agent": {"agent_name"},
        "time_to_close": {"assignee_name"},
        "transcripts": {"assignee_name"},
    },
    "chats.department": {
        "chats_per_department": LOAD | REPLIES,
        "first_response": {"department", "department_name"},
        "time_to_close": {"department", "department_name"},
        "transcripts": {"department_name"},
    },
    "chats.department.id": {
        "chats_per_department": LOAD | REPLIES,
        "first_response": {"department"},
        "time_to_close": {"department"},
    },
    "chats.department.name": {
        "chats_per_department": {"department_name"},
        "first_response": {"department_name"},
        "time_to_close": {"department_name"},
        "transcripts": {"department_name"},
    },
    "messages.type": {
        "chats_per_agent": REPLIES,
        "chats_per_department": REPLIES,
        "first_response": {"first_message_at"} | REPLY,
        "transcripts": {"messages", "transcript"},
    },
    "messages.from": {
        "chats_per_agent": REPLIES,
        "chats_per_department": REPLIES,
        "first_response": {"first_message_at"} | REPLY,
    },
    "messages.broadcastType": {
        "chats_per_agent": REPLIES,
        "chats_per_department": REPLIES,
        "first_response": REPLY,
    },
    "messages.createdAt": {
        "chats_per_agent": {"median_first_response_seconds"},
        "chats_per_department": {"median_first_response_seconds"},
        "first_response": {"first_message_at"} | REPLY,
    },
    "messages.agent": {"chats_per_agent": REPLIES, "first_response": {"agent", "agent_name"}},
    "messages.agent.id": {"chats_per_agent": REPLIES, "first_response": {"agent"}},
    "messages.agent.name": {"chats_per_agent": {"agent_name"}, "first_response": {"agent_name"}},
    "agents.name": {"chats_per_agent": {"agent_name"}},
    "departments.name": {"chats_per_department": {"department_name"}},
    "chat_changes.assignee.name": {"reassignments": {"from_name", "to_name"}},
}
"""The columns of reports that are null, in some rows at least, without a column of an export."""

GONE: dict[str, dict[str, set[int | None]]] = {
    "chats.status": {"time_to_close": {3, 4, 5}},
    "chats.assignee": {"chats_per_agent": {4, None}},
    "chats.assignee.id": {"chats_per_agent": {4, None}},
    "chats.department": {"chats_per_department": {8, 9, None}},
    "chats.department.id": {"chats_per_department": {8, 9, None}},
    "messages.type": {"chats_per_agent": {5}},
    "messages.from": {"chats_per_agent": {5}},
    "messages.broadcastType": {"chats_per_agent": {5}},
    "messages.agent": {"chats_per_agent": {5}},
    "messages.agent.id": {"chats_per_agent": {5}},
    "chat_changes.assignee": {"reassignments": {1, 2}},
    "chat_changes.assignee.id": {"reassignments": {1, 2}},
}
"""The first columns of the rows that are not there without a column of an export."""


ACCOUNT: dict[str, Records] = {
    "chats": [*TEAM["chats"], chat(8, assignee=agent(1), customer={"id": 108, "name": "customer 8"})],
    # This would be the first reply.
    "messages": [*TEAM["messages"], replied(17, 5, by=2, broadcastType="trigger")],
    "agents": [agent(1), agent(3)],
    "departments": [{**department(number), "agents": []} for number in (7, 10)],
    "chat_changes": HISTORY,
}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Write a whole account."""
    folder = tmp_path_factory.mktemp("account")
    return {
        view: [written(folder / f"{view}.parquet", TABLES[view], records)]
        for view, records in ACCOUNT.items()
    }


@pytest.fixture(scope="module")
def truth(paths: dict[str, list[str]]) -> dict[str, Records]:
    """Run all reports on the whole account."""
    with reports.connect() as connection:
        reports.views(connection, **paths)
        return {name: reports.report(connection, name) for name in reports.names()}


class TestColumnsLeftOut:
    """What was left out of an export is unknown: not nobody, and not none."""

    @pytest.mark.parametrize(("view", "choice"), CHOICES, ids=str)
    def test_what_is_unknown_is_null(
        self,
        connection: Any,
        paths: dict[str, list[str]],
        truth: dict[str, Records],
        tmp_path: Path,
        view: str,
        choice: dict[str, Any],
    ) -> None:
        path = written(tmp_path / "fewer.parquet", TABLES[view], ACCOUNT.get(view, [{"id": 1}]), **choice)
        reports.views(connection, **{**paths, view: [path]})
        (name,) = choice.get("hashed") or [choice["columns"][0].removeprefix("-")]
        unknown, gone = (table.get(f"{view}.{name}", {}) for table in (UNKNOWN, GONE))
        for report, true in truth.items():
            key = next(iter(true[0]))
            left = [row for row in true if row[key] not in gone.get(report, set())]
            pairs = list(zip(reports.report(connection, report), left, strict=True))
            # What a transcript says of the unknown is below.
            differing = {
                (column, row[column])
                for row, before in pairs
                for column in row
                if row[column] != before[column] and (column != "transcript" or row[column] is None)
            }
            assert differing == {(column, None) for column in unknown.get(report, ())}, report

    def test_only_agents_who_are_known_remain_without_assignees(
        self, connection: Any, paths: dict[str, list[str]], tmp_path: Path
    ) -> None:
        path = written(tmp_path / "chats.parquet", CHATS, ACCOUNT["chats"], columns=["-assignee"])
        reports.views(connection, **{**paths, "chats": [path]})
        rows = reports.report(connection, "chats_per_agent")
        assert picked(rows, "agent", "created", "open_now", "closed", "replies") == [
            (1, None, None, None, 4),
            (2, None, None, None, 2),
            (3, None, None, None, 0),
            (5, None, None, None, 1),
        ]

    def test_a_snapshot_without_chats_leaves_none_unknown(self, connection: Any, tmp_path: Path) -> None:
        path = written(tmp_path / "chats.parquet", CHATS, [], columns=["-assignee"])
        agents = written(tmp_path / "agents.parquet", AGENTS, [agent(1)])
        reports.views(connection, chats=[path], agents=[agents])
        rows = reports.report(connection, "chats_per_agent")
        assert figures(rows, "agent") == {1: (0, 0, 0, 0, None, None)}

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            (
                "text",
                ["Customer: (text left out)", "Agent agent 1: (text left out)", "Broadcast: (text left out)"],
            ),
            ("from", ["Message: question", "Message of agent 1: answer", "Broadcast: Welcome"]),
            ("agent", ["Customer: question", "Agent: answer", "Broadcast: Welcome"]),
            (
                "broadcastType",
                [
                    "Customer: question",
                    "Agent or broadcast of agent 1: answer",
                    "Agent or broadcast: Welcome",
                ],
            ),
        ],
    )
    def test_labels_of_a_transcript(
        self, connection: Any, tmp_path: Path, name: str, expected: list[str]
    ) -> None:
        messages = [asked(1, 0), replied(2, 5), replied(3, 9, "Welcome", agent=None, broadcastType="trigger")]
        paths = {
            "chats": [written(tmp_path / "chats.parquet", CHATS, [chat(1)])],
            "messages": [written(tmp_path / "messages.parquet", MESSAGES, messages, columns=[f"-{name}"])],
        }
        reports.views(connection, **paths)
        (row,) = reports.report(connection, "transcripts")
        assert [line[26:] for line in row["transcript"].splitlines()] == expected

    FEW: ClassVar[dict[str, Any]] = {"columns": ["change", "seenAt", "status", "createdAt"]}

    @pytest.mark.parametrize(
        "choices",
        [
            [{}, FEW],
            [FEW, {}],
            [{}, FEW, {}],
            [FEW, {}, FEW],
            [{}, {"columns": ["-assignee.id"]}],
            [{}, {"hashed": ["assignee.id"], "salt": "salt"}],
            [{"hashed": ["assignee.id"], "salt": salt} for salt in ("old", "new")],
            [{"hashed": ["assignee.email"], "salt": salt} for salt in ("old", "new")],
            [{}, {"columns": ["-assignee.name"]}],
        ],
    )
    def test_other_columns_are_no_reassignment(
        self, connection: Any, tmp_path: Path, choices: list[dict[str, Any]]
    ) -> None:
        paths = self.history(tmp_path, *((choice, [1, None]) for choice in choices))
        reports.views(connection, chat_changes=paths)
        assert reports.report(connection, "reassignments") == []

    def test_further_columns_that_differ(self, connection: Any, tmp_path: Path) -> None:
        """Those that a file lacks are null, and those of another type are not in the view."""
        choices: list[dict[str, Any]] = [
            {},
            {"columns": ["-agents.email", "-rating"]},
            {"hashed": ["lastMessageId"], "salt": "salt"},
        ]
        record = chat(1, rating="great", lastMessageId=5, readByAgent=True, agents=[agent(1)])
        paths = [
            written(tmp_path / f"{number}.parquet", CHATS, [record], **choice)
            for number, choice in enumerate(choices)
        ]
        reports.views(connection, chats=paths)
        result = connection.execute("FROM chats")
        names = {column[0] for column in result.description}
        assert {column.name for column in CHATS.columns} - names == {"agents", "lastMessageId"}
        rows = connection.execute("SELECT rating, readByAgent FROM chats ORDER BY rating").fetchall()
        assert rows == [("great", True), ("great", True), (None, True)]

    def test_what_changed_meanwhile_is_seen_by_the_next_export_with_the_column(
        self, connection: Any, tmp_path: Path
    ) -> None:
        exports = [({}, [1, 1, None]), (self.FEW, [2, 1, 1]), ({}, [3, 1, 1]), ({}, [3, 2, 1])]
        reports.views(connection, chat_changes=self.history(tmp_path, *exports))
        rows = reports.report(connection, "reassignments")
        assert picked(rows, "chat", "from_agent", "to_agent", "seen_before", "seen") == [
            (1, 1, 3, time_of(0), time_of(1200)),
            (3, None, 1, time_of(0), time_of(1200)),
            (2, 1, 2, time_of(1200), time_of(1800)),
        ]

    def test_a_deletion_that_an_export_without_the_column_saw(self, connection: Any, tmp_path: Path) -> None:
        deleted = [changed(chat(1), 600, "deleted")]
        back = [changed(chat(1, assignee=agent(2)), 1800, "inserted")]
        other = [changed(chat(2, assignee=agent(2)), 1200, "inserted")]
        paths = self.history(tmp_path, ({}, [1]))
        for number, (records, choice) in enumerate([(deleted, self.FEW), (other, {}), (back, {})]):
            paths.append(written(tmp_path / f"{number}.parquet", TABLES["chat_changes"], records, **choice))
        reports.views(connection, chat_changes=paths)
        rows = reports.report(connection, "reassignments")
        # The export at 1200 did not have the chat.
        assert picked(rows, "chat", "from_agent", "to_agent", "seen_before", "seen") == [
            (1, 1, 2, time_of(0), time_of(1800))
        ]

    @staticmethod
    def history(folder: Path, *exports: tuple[dict[str, Any], list[int | None]]) -> list[str]:
        """Write the changes of exports ten minutes apart: each with its choice, and the assignees of chats 1, 2, ..."""
        paths = []
        for number, (choice, assignees) in enumerate(exports):
            records = [
                changed(chat(each, assignee=to and agent(to)), number * 600)
                for each, to in enumerate(assignees, 1)
            ]
            path = folder / f"changes{number}.parquet"
            paths.append(written(path, TABLES["chat_changes"], records, **choice))
        return paths


class TestRefusals:
    def test_duckdb_is_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "duckdb", None)
        with pytest.raises(HelpCrunchConfigurationError) as refusal:
            reports.connect()
        assert str(refusal.value) == "A report needs: pip install 'airflow-provider-helpcrunch[duckdb]'"

    @pytest.mark.parametrize("name", ["first", "../sql/first_response", "first_response.sql", ""])
    def test_an_unknown_report(self, connection: Any, name: str) -> None:
        with pytest.raises(HelpCrunchConfigurationError, match="There is no report .*first_response"):
            reports.report(connection, name)

    def test_an_unknown_view(self, connection: Any) -> None:
        with pytest.raises(HelpCrunchConfigurationError, match="There is no view 'chat': .*chat_changes"):
            reports.views(connection, chat=["chats.parquet"])

    def test_a_text_instead_of_a_list(self, connection: Any) -> None:
        with pytest.raises(HelpCrunchConfigurationError, match="'chats' must be a list of paths"):
            reports.views(connection, chats="chats.parquet")
