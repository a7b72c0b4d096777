"""What leaves a task: columns that are kept, left out or hashed."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from typing import Any

import pytest

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchResponseError
from airflow_provider_helpcrunch.privacy import Privacy
from airflow_provider_helpcrunch.schema import AGENTS, CHATS, DEPARTMENTS, Column, Table

SALT = "a long random text"

MESSAGES = Table(
    "messages", (Column("id", "int64"), Column("chat", "int64"), Column("text", "string")),
)  # fmt: skip

CHAT: dict[str, Any] = {
    "id": 4410021,
    "status": "opened",
    "lastMessageText": "Where is my parcel?",
    "closedAt": None,
    "agents": [
        {"id": 1001, "name": "Ada", "email": "ada@shop.example", "role": "admin", "phone": "1"},
        {"id": 1002, "name": "Hugo", "email": None, "role": "agent"},
    ],
    "customer": {"id": 7, "name": "Rosa", "email": "rosa@mail.example", "userId": "u-7", "phone": "2"},
    "assignee": None,
    "department": {"id": 101, "name": "Support"},
    "unknown": {"text": "new in the API"},
}


def by_hand(text: str, salt: str = SALT) -> str:
    return hmac.new(salt.encode(), text.encode(), hashlib.sha256).hexdigest()


def names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def applied(record: dict[str, Any] = CHAT, table: Table = CHATS, **choice: Any) -> dict[str, Any]:
    before = copy.deepcopy(record)
    result = Privacy.of(table, **choice).apply(record)
    assert record == before
    return result


class TestNothingChosen:
    def test_the_record_and_the_table_are_the_given_ones(self) -> None:
        privacy = Privacy.of(CHATS)
        assert privacy.apply(CHAT) is CHAT
        assert privacy.table is CHATS

    def test_a_salt_alone_changes_nothing(self) -> None:
        assert Privacy.of(CHATS, salt=SALT).apply(CHAT) is CHAT
        assert Privacy.of(CHATS, salt=SALT) == Privacy.of(CHATS)


class TestKeep:
    def test_nothing_else_is_left(self) -> None:
        assert applied(columns=["status", "customer.id", "agents.role"]) == {
            "id": 4410021,
            "status": "opened",
            "agents": [{"role": "admin"}, {"role": "agent"}],
            "customer": {"id": 7},
        }

    def test_a_whole_object_has_only_what_the_table_knows(self) -> None:
        kept = applied(columns=["customer", "agents"])
        assert kept["customer"] == {"id": 7, "name": "Rosa", "email": "rosa@mail.example", "userId": "u-7"}
        assert [list(agent) for agent in kept["agents"]] == [["id", "name", "email", "role"]] * 2

    def test_the_table_has_the_same_columns_in_its_own_order(self) -> None:
        table = Privacy.of(CHATS, ["customer.email", "customer.id", "status", "id"]).table
        assert names(table) == ["id", "status", "customer"]
        assert table.columns[-1] == Column(
            "customer", "struct", (Column("id", "int64"), Column("email", "string"))
        )

    def test_key_columns_are_always_kept(self) -> None:
        message = {"id": 1, "chat": 2, "text": "Hello"}
        assert applied(message, MESSAGES, columns=["text"]) == message
        assert applied({**message, "more": 3}, MESSAGES, columns=["id"]) == {"id": 1, "chat": 2}
        assert names(Privacy.of(MESSAGES, ["id"]).table) == ["id", "chat"]

    def test_a_field_that_the_record_lacks_is_not_invented(self) -> None:
        assert applied({"id": 1}, columns=["status", "customer.id"]) == {"id": 1}


class TestLeaveOut:
    def test_everything_else_stays(self) -> None:
        left = applied(columns=["-lastMessageText", "-customer.email", "-agents.name", "-agents.email"])
        assert left == {
            **{name: value for name, value in CHAT.items() if name != "lastMessageText"},
            "agents": [{"id": 1001, "role": "admin", "phone": "1"}, {"id": 1002, "role": "agent"}],
            "customer": {"id": 7, "name": "Rosa", "userId": "u-7", "phone": "2"},
        }
        assert left["unknown"] is CHAT["unknown"]

    def test_a_whole_object(self) -> None:
        assert "customer" not in applied(columns=["-customer"])
        assert "customer" not in names(Privacy.of(CHATS, ["-customer"]).table)

    def test_an_object_without_any_part_left_is_left_out(self) -> None:
        columns = [f"-customer.{name}" for name in ("id", "name", "email", "userId")]
        assert "customer" not in applied(columns=columns)
        assert "customer" not in names(Privacy.of(CHATS, columns).table)

    def test_the_table_follows(self) -> None:
        table = Privacy.of(DEPARTMENTS, ["-agents.email", "-name"]).table
        agents = tuple(column for column in AGENTS.columns if column.name != "email")
        assert table == Table("departments", (Column("id", "int64"), Column("agents", "list", agents)))


class TestHash:
    def test_a_hash_is_an_hmac_of_the_text(self) -> None:
        hashed = applied(hashed=["customer.email", "agents.email", "closedAt"], salt=SALT)
        assert hashed == {
            **CHAT,
            "agents": [{**CHAT["agents"][0], "email": by_hand("ada@shop.example")}, CHAT["agents"][1]],
            "customer": {**CHAT["customer"], "email": by_hand("rosa@mail.example")},
        }

    def test_the_column_is_a_string(self) -> None:
        table = Privacy.of(CHATS, ["createdAt", "customer.id"], ["createdAt", "customer.id"], SALT).table
        assert table.columns == (
            Column("id", "int64"),
            Column("createdAt", "string"),
            Column("customer", "struct", (Column("id", "string"),)),
        )

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("", ""),
            ("Ä@b.example", "Ä@b.example"),
            (7, "7"),
            ("7", "7"),
            (True, "true"),
            (1700000000.25, "1700000000.25"),
            ({"b": [1], "a": None}, '{"a":null,"b":[1]}'),
        ],
    )
    def test_a_value_is_hashed_as_its_text(self, value: Any, text: str) -> None:
        record = {"id": 1, "email": value}
        assert applied(record, AGENTS, hashed=["email"], salt=SALT)["email"] == by_hand(text)

    def test_half_of_a_surrogate_pair_is_hashed_too(self) -> None:
        hashed = applied({"id": 1, "name": "\ud83d"}, AGENTS, hashed=["name"], salt=SALT)
        assert len(hashed["name"]) == 64

    def test_none_stays_none(self) -> None:
        assert applied({"id": 1, "name": None}, AGENTS, hashed=["name"], salt=SALT)["name"] is None

    def test_resources_can_be_joined(self) -> None:
        agent = {"id": 1001, "email": "ada@shop.example"}
        of_agents = applied(agent, AGENTS, hashed=["email"], salt=SALT)["email"]
        of_chats = applied(columns=["agents.email"], hashed=["agents.email"], salt=SALT)["agents"][0]["email"]
        assert of_agents == of_chats
        assert applied(agent, AGENTS, hashed=["email"], salt="another")["email"] != of_agents


class TestUnexpectedShapes:
    @pytest.mark.parametrize("choice", [{"columns": ["-customer.email"]}, {"columns": ["customer.id"]}])
    @pytest.mark.parametrize("value", ["rosa@mail.example", 7, ["rosa@mail.example"]])
    def test_a_value_that_hides_its_parts_is_refused_and_not_shown(
        self, choice: dict[str, Any], value: Any
    ) -> None:
        with pytest.raises(
            HelpCrunchResponseError, match=r"in customer, where an object is expected"
        ) as caught:
            applied({"id": 1, "customer": value}, **choice)
        assert "rosa" not in str(caught.value)

    @pytest.mark.parametrize("value", [None, "", [], {}, [None]])
    def test_an_empty_value_is_not(self, value: Any) -> None:
        assert applied({"id": 1, "customer": value}, columns=["-customer.email"])["customer"] == value

    def test_a_list_in_place_of_an_object_and_the_other_way_round(self) -> None:
        record = {"id": 1, "customer": [{"id": 7, "email": "e"}], "agents": {"id": 8, "email": "e"}}
        assert applied(record, columns=["-customer.email", "-agents.email"]) == {
            "id": 1,
            "customer": [{"id": 7}],
            "agents": {"id": 8},
        }


class TestFingerprint:
    def of(self, *choice: Any) -> str:
        return Privacy.of(CHATS, *choice).fingerprint

    def test_it_stays_the_same_for_the_same_choice(self) -> None:
        choice: Any = (["status", "customer.email", "rating"], ["rating", "customer.email"], SALT)
        assert self.of(*choice) == self.of(["id", *reversed(choice[0])], choice[1][::-1], SALT)
        assert self.of() == "93d58708016d4f61"

    def test_it_differs_for_every_other(self) -> None:
        different = {
            self.of(),
            self.of(["status"]),
            self.of(["-status"]),
            self.of(["-status"], ["rating"], SALT),
            self.of(None, ["rating"], SALT),
            self.of(None, ["rating"], "another"),
        }
        assert len(different) == 6

    def test_nothing_shows_the_salt(self) -> None:
        privacy = Privacy.of(CHATS, None, ["rating"], SALT)
        assert SALT not in repr(privacy) + privacy.fingerprint


def test_shows() -> None:
    privacy = Privacy.of(CHATS, ["status", "customer"], ["customer.email"], SALT)
    shown = ["id", "status", "customer.id", "customer.email", "rating", "agents.email"]
    assert [privacy.shows(name) for name in shown] == [True, True, True, False, False, False]


REFUSED = [
    ({"columns": "id, status"}, "columns must be a list of column names, not str."),
    ({"columns": {"id": 1}}, "columns must be a list of column names, not dict."),
    ({"columns": 7}, "columns must be a list of column names, not int."),
    ({"hashed": "customer.email", "salt": SALT}, "hash must be a list of column names, not str."),
    ({"columns": ["id", 7]}, "columns must be a list of column names, and one of its entries is not a name."),
    ({"columns": [" "]}, "columns must be a list of column names, and one of its entries is not a name."),
    ({"columns": []}, "columns is an empty list: name at least one column, or leave columns out."),
    ({"hashed": []}, "hash is an empty list: name at least one column, or leave hash out."),
    (
        {"columns": ["status", "-rating"]},
        "columns names status to keep and -rating to leave out: name only columns to keep, or only columns to leave "
        "out.",
    ),
    ({"columns": ["status", "status"]}, "columns names status twice."),
    ({"columns": ["-status", "- status"]}, "columns names status twice."),
    (
        {"columns": ["customer.id", "customer"]},
        "columns names customer and customer.id, which is inside of it: name one of the two.",
    ),
    (
        {"columns": ["-id"]},
        "columns leaves out id, which must stay as it is, because records are found again and joined by it.",
    ),
    (
        {"hashed": ["id"], "salt": SALT},
        "hash names id, which must stay as it is, because records are found again and joined by it.",
    ),
    (
        {"hashed": ["department"], "salt": SALT},
        "hash names department, which has columns inside it: name those to hash, out of department.id, "
        "department.name.",
    ),
    (
        {"columns": ["-customer"], "hashed": ["customer.email"], "salt": SALT},
        "hash names customer.email, which columns leaves out: take it out of hash, or keep it.",
    ),
    (
        {"columns": ["customer.id"], "hashed": ["customer.email"], "salt": SALT},
        "hash names customer.email, which columns leaves out: take it out of hash, or keep it.",
    ),
    ({"hashed": ["rating", "rating"], "salt": SALT}, "hash names rating twice."),
    (
        {"hashed": ["rating"]},
        "hash needs hash_salt: without a secret salt, anybody can find the values by trying.",
    ),
    (
        {"hashed": ["rating"], "salt": " "},
        "hash_salt is empty: give it a long random text, and keep that secret.",
    ),
    ({"hashed": ["rating"], "salt": 123456}, "hash_salt must be a text, not int."),
]


@pytest.mark.parametrize(
    ("choice", "message"), REFUSED, ids=lambda value: value[:30] if isinstance(value, str) else ""
)
def test_a_choice_that_makes_no_sense_is_refused(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        Privacy.of(CHATS, **choice)
    assert str(caught.value) == message


@pytest.mark.parametrize("choice", [{"columns": ["-chat"]}, {"hashed": ["chat"], "salt": SALT}])
def test_the_chat_of_a_message_stays(choice: dict[str, Any]) -> None:
    with pytest.raises(HelpCrunchConfigurationError, match="chat, which must stay as it is"):
        Privacy.of(MESSAGES, **choice)


@pytest.mark.parametrize("choice", [{"columns": ["mail"]}, {"columns": ["-mail"]}, {"hashed": ["mail"]}])
def test_an_unknown_column_is_answered_with_the_known_ones(choice: dict[str, Any]) -> None:
    with pytest.raises(HelpCrunchConfigurationError) as caught:
        Privacy.of(DEPARTMENTS, **choice)
    assert str(caught.value) == (
        f"{'hash' if 'hashed' in choice else 'columns'} names 'mail', which is no column of departments; its columns "
        "are id, name, agents, agents.id, agents.name, agents.email, agents.role."
    )


def test_a_record_stays_plain_json() -> None:
    hashed = applied(columns=["-customer.name"], hashed=["customer.email"], salt=SALT)
    assert json.loads(json.dumps(hashed)) == hashed
