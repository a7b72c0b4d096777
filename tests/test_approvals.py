"""The text for a person who approves: names, whatever characters they have, and nothing that is not so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_helpcrunch.approvals import approval_text
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchStorageError
from airflow_provider_helpcrunch.schema import CHANGES
from airflow_provider_helpcrunch.storage import Target

ROW: dict[str, Any] = {
    **{
        "id": 4410021,
        "field": "assignee",
        "before": 1001,
        "before_name": "Ada",
        "after": 1002,
        "after_name": "Bo",
    },
    **{
        "outcome": "planned",
        "error": None,
        "status": "opened",
        "department": 12,
        "department_name": "Billing",
    },
}


def text(folder: Path, *rows: dict[str, Any], suffix: str = "jsonl", **how: Any) -> str:
    receipt = Target.resolve(str(folder / f"plan.{suffix}"), CHANGES).write(rows)
    return approval_text({"planned": len(rows), "chats": None, "report": dict(receipt)}, **how)


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet", "csv.gz"])
def test_names_instead_of_ids(suffix: str, tmp_path: Path) -> None:
    rows = [
        ROW,
        {
            **ROW,
            "id": 4410022,
            "before": None,
            "before_name": None,
            "department": None,
            "department_name": None,
        },
        {**ROW, "id": 4410023, "after": 1003, "after_name": None, "department": 13, "department_name": None},
        {**ROW, "id": 4410024, "outcome": "left", "after": None, "after_name": None, "error": "nobody"},
    ]
    assert text(tmp_path, *rows, suffix=suffix) == (
        "**3 chats** would get another agent. 1 chat would be left, because of caps or departments.\n\n"
        "| Agent | Gets |\n| --- | --- |\n| Bo | 2 |\n| 1003 | 1 |\n\n"
        "| Chat | Status | Department | From | To |\n| --- | --- | --- | --- | --- |\n"
        "| 4410021 | opened | Billing | Ada | Bo |\n"
        "| 4410022 | opened | none | nobody | Bo |\n"
        "| 4410023 | opened | 13 | Ada | 1003 |\n\n"
        f"The whole report: `{tmp_path}/plan.{suffix}`"
    )


def test_two_agents_of_one_name_are_told_apart(tmp_path: Path) -> None:
    shown = text(tmp_path, ROW, {**ROW, "id": 4410022, "after": 1003})
    assert "| Bo (1002) | 1 |\n| Bo (1003) | 1 |" in shown
    assert "| Ada | Bo (1003) |" in shown


def test_what_is_too_long_for_a_page_is_counted(tmp_path: Path) -> None:
    shown = text(tmp_path, *({**ROW, "id": number} for number in range(1, 1501)), most=10)
    assert "| Bo | 1,500 |" in shown
    assert "… and 1,490 more." in shown
    assert shown.count("| opened |") == 10
    assert "more" not in text(tmp_path, ROW)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ada | Bo", r"Ada \| Bo"),
        ("a\nb\r\n| c", r"a b \| c"),
        ("[click](https://evil.example)", r"\[click\]\(https://evil\.example\)"),
        ("<img src=x>", r"\<img src=x\>"),
        ("**Ada** `x`", r"\*\*Ada\*\* \`x\`"),
        ("Zoë Çelik", "Zoë Çelik"),
        ("  ", "1001"),
    ],
)
def test_a_name_is_shown_as_it_is(name: str, shown: str, tmp_path: Path) -> None:
    assert f"| {shown} |" in text(tmp_path, {**ROW, "before_name": name})


@pytest.mark.parametrize(("status", "shown"), [("a | b", r"a \| b"), (None, "unknown")])
def test_a_status_that_nobody_knows(status: str | None, shown: str, tmp_path: Path) -> None:
    assert f"| 4410021 | {shown} | Billing |" in text(tmp_path, {**ROW, "status": status})


def test_a_chat_is_linked_where_its_address_is_known(tmp_path: Path) -> None:
    address = "https://shop.helpcrunch.com/inbox/chats/4410021"
    assert f"| [4410021]({address}) | opened |" in text(tmp_path, {**ROW, "url": address})
    assert "| 4410021 | opened |" in text(tmp_path, {**ROW, "url": None}, suffix="csv")


@pytest.mark.parametrize("result", [{"chats": []}, {"chats": [], "report": None}, {}])
def test_a_result_without_a_report(result: Any) -> None:
    with pytest.raises(HelpCrunchConfigurationError, match="set report_path on the dry run"):
        approval_text(result)


def test_a_report_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(HelpCrunchStorageError, match="There is no object"):
        approval_text({"report": {"path": str(tmp_path / "gone.csv"), "format": "csv"}})
