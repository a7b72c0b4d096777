"""A Singer tap over the client: all lists of an account, messages as a child of chats."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, ClassVar

from accounts import KEYS, TABLES, Client, json_schema, records_of
from singer_sdk import Stream, Tap


class Records(Stream):
    @property
    def client(self) -> Client:
        return self._tap.client

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        return records_of(self.client, self.name, (context or {}).get("chat_id"))


class Chats(Records):
    def get_child_context(self, record: dict[str, Any], context: Any) -> dict[str, Any]:
        return {"chat_id": record["id"]}


class Messages(Records):
    parent_stream_type = Chats
    state_partitioning_keys: ClassVar[list[str]] = []


class HelpCrunchTap(Tap):
    name = "tap-helpcrunch"
    config_jsonschema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "properties": {"api_key": {"type": "string", "secret": True}, "base_url": {"type": "string"}},
        "required": ["api_key", "base_url"],
    }
    client_class: ClassVar[type[Client]] = Client

    @cached_property
    def client(self) -> Client:
        return self.client_class(self.config["api_key"], self.config["base_url"])

    def discover_streams(self) -> list[Stream]:
        kinds = {"chats": Chats, "messages": Messages}
        streams = [
            kinds.get(name, Records)(self, schema=json_schema(table), name=name)
            for name, table in TABLES.items()
        ]
        for stream in streams:
            stream.primary_keys = KEYS[stream.name]
        return streams
