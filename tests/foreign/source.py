"""An Airbyte source over the client: all lists of an account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from accounts import KEYS, TABLES, Client, json_schema, records_of
from airbyte_cdk.models import ConnectorSpecification
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.streams import Stream

from airflow_provider_helpcrunch.exceptions import HelpCrunchError


class Records(Stream):
    def __init__(self, client: Client, name: str) -> None:
        self._client, self._name = client, name

    @property
    def name(self) -> str:
        return self._name

    @property
    def primary_key(self) -> list[str]:
        return KEYS[self.name]

    def get_json_schema(self) -> Mapping[str, Any]:
        return json_schema(TABLES[self.name])

    def read_records(self, *_: Any, **__: Any) -> Iterable[Mapping[str, Any]]:
        return records_of(self._client, self.name)


class HelpCrunchSource(AbstractSource):
    client_class: ClassVar[type[Client]] = Client

    def spec(self, logger: Any) -> ConnectorSpecification:
        properties = {
            "api_key": {"type": "string", "title": "API key", "airbyte_secret": True},
            "base_url": {"type": "string", "title": "Address of the API"},
        }
        return ConnectorSpecification(
            connectionSpecification={"type": "object", "required": [*properties], "properties": properties}
        )

    def check_connection(self, logger: Any, config: Mapping[str, Any]) -> tuple[bool, str | None]:
        try:
            self._client(config).get_organization()
        except HelpCrunchError as error:
            return False, str(error)
        return True, None

    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        client = self._client(config)
        return [Records(client, name) for name in TABLES]

    def _client(self, config: Mapping[str, Any]) -> Client:
        return self.client_class(config["api_key"], config["base_url"])
