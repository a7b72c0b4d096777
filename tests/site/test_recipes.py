"""The recipes of the documentation, run with the tools themselves on a sandbox in process, without Airflow."""

from __future__ import annotations

import functools
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from airflow_provider_helpcrunch import client as client_module
from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = [pytest.mark.site, pytest.mark.slow]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recipes.md"


def run(heading: str) -> ModuleType:
    """Run the code below a heading of the page, as a module of its own."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}")[1].split("\n## ")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    Path("recipe.py").write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("recipe", "recipe.py")
    assert spec
    assert spec.loader
    module = sys.modules["recipe"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ids(records: list[dict[str, Any]]) -> list[tuple[int]]:
    """Return the rows that a table with these records has, with their ids alone."""
    return sorted((record["id"],) for record in records)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sandbox:
    account = Sandbox(agents=130, chats=250, rate_limit=None, now="2026-01-31", canary="Marigold")
    here = functools.partial(
        client_module.HelpCrunchClient, http_adapter=account.adapter(), rate_limit_store="memory://"
    )
    monkeypatch.setattr(client_module, "HelpCrunchClient", here)
    monkeypatch.setenv("HELPCRUNCH_API_KEY", account.key)
    monkeypatch.chdir(tmp_path)
    return account


@pytest.mark.usefixtures("account")
class TestDlt:
    @pytest.fixture(autouse=True)
    def home(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
        monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        import duckdb

        with duckdb.connect("support.duckdb", read_only=True) as connection:
            return connection.execute(query).fetchall()

    def test_each_run_brings_the_table_up_to_what_was_written(self, account: Sandbox) -> None:
        run("dlt")
        assert self.rows("SELECT id FROM helpcrunch.agents ORDER BY id") == ids(account.agents)
        assert self.rows("SELECT id FROM helpcrunch.chats ORDER BY id") == ids(account.chats)

        account.insert_chats(3, assignee=1001)
        already = len(account.requests(path="/v1/chats"))
        run("dlt")
        assert self.rows("SELECT id FROM helpcrunch.chats ORDER BY id") == ids(account.chats)
        assert len(account.requests(path="/v1/chats")) - already < already


class TestLanguageModel:
    def test_a_model_reads_and_cannot_write(self, account: Sandbox) -> None:
        from pydantic_ai import models
        from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
        from pydantic_ai.models.function import AgentInfo, FunctionModel

        models.ALLOW_MODEL_REQUESTS = False
        offered: set[str] = set()
        returned: dict[str, Any] = {}

        def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            offered.update(tool.name for tool in info.function_tools)
            for part in messages[-1].parts:
                if isinstance(part, ToolReturnPart):
                    returned[part.tool_name] = part.content
            if "chats_since" not in returned:
                return ModelResponse([ToolCallPart("chats_since", {"since": "2026-01-30", "most": 5})])
            if "messages_of" not in returned:
                return ModelResponse(
                    [ToolCallPart("messages_of", {"chat_id": returned["chats_since"][0]["id"]})]
                )
            return ModelResponse([TextPart("Nobody was unhappy.")])

        assert (
            run("A language model").summary(FunctionModel(answer), "Who was unhappy?")
            == "Nobody was unhappy."
        )

        assert offered == {"chats_since", "messages_of"}
        active = sorted(account.chats, key=lambda chat: float(chat["lastMessageAt"] or 0), reverse=True)
        assert [chat["id"] for chat in returned["chats_since"]] == [chat["id"] for chat in active[:5]]
        assert [message["id"] for message in returned["messages_of"]] == [
            message["id"] for message in account.messages(active[0]["id"]) if message["type"] != "private"
        ]
        assert "Marigold" not in str(returned["chats_since"])
        assert {request.method for request in account.journal} == {"GET"}
