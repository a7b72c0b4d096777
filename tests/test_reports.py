"""The reports, on a handful of records written by the package's own writer, with rows computed by hand."""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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
            "[2024-05-01 09:00:00 UTC] Customer: (no text)",
            "[2024-05-01 09:00:05 UTC] Agent: (no text)",
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
