"""The client passes the Airbyte CDK's standard tests, inside a source; two wrong ones fail what is added to them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from accounts import ACCOUNTS, KEYS, TABLES, Client, DoublingClient, LosingClient, account
from airbyte_cdk.models import SyncMode
from airbyte_cdk.test.catalog_builder import CatalogBuilder
from airbyte_cdk.test.models import ConnectorTestScenario
from airbyte_cdk.test.standard_tests import SourceTestSuiteBase
from airbyte_cdk.test.standard_tests._job_runner import run_test_job
from source import HelpCrunchSource

from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = pytest.mark.foreign

HERE = Path(__file__).parent
ALL = ("spec", "connection", "discovery", "basic_read")


def scenario_of(directory: Path, sandbox: Sandbox, key: str = "", **options: Any) -> ConnectorTestScenario:
    config = directory / "config.json"
    config.write_text(json.dumps({"api_key": key or sandbox.key, "base_url": sandbox.url}))
    return ConnectorTestScenario(config_path=config, **{"sections": ALL, "status": "succeed", **options})


class Battery(SourceTestSuiteBase):
    """The battery, and what it leaves out: whether each record comes, and comes once."""

    connector: ClassVar[Any] = HelpCrunchSource

    # Images are built from a whole repository of connectors.
    test_docker_image_build_and_spec = None
    test_docker_image_spec_backward_compatibility = None
    test_docker_image_build_and_check = None
    test_docker_image_build_and_config_matches_spec = None
    test_docker_image_build_and_discover = None
    test_docker_image_build_and_read = None

    @classmethod
    def get_connector_root_dir(cls) -> Path:
        return HERE

    def test_each_record_comes_once(self, scenario: ConnectorTestScenario, served: Sandbox) -> None:
        catalog = CatalogBuilder()
        for name in TABLES:
            catalog.with_stream(name, SyncMode.full_refresh)
        read = run_test_job(
            self.create_connector(scenario),
            "read",
            test_scenario=scenario,
            connector_root=HERE,
            catalog=catalog.build(),
        )
        came = Counter(_key(message.record.stream, message.record.data) for message in read.records)
        assert came == Counter(_key(name, record) for name in TABLES for record in served.truth(name))


def _key(stream: str, record: dict[str, Any]) -> tuple[Any, ...]:
    return (stream, *(record[field] for field in KEYS[stream]))


class TestSource(Battery):
    @pytest.fixture(scope="class", params=ACCOUNTS)
    @classmethod
    def served(cls, request: pytest.FixtureRequest) -> Iterator[Sandbox]:
        with account(request.param) as sandbox:
            yield sandbox

    @pytest.fixture
    def scenario(self, served: Sandbox, tmp_path: Path) -> ConnectorTestScenario:
        return scenario_of(tmp_path, served)

    def test_a_wrong_key(self, served: Sandbox, tmp_path: Path) -> None:
        self.test_check(scenario_of(tmp_path, served, "not-the-key", status="failed"))


@pytest.mark.parametrize("client", [DoublingClient, LosingClient])
def test_a_wrong_client_fails(client: type[Client], tmp_path: Path) -> None:
    source = type("Source", (HelpCrunchSource,), {"client_class": client})
    battery = type("WrongBattery", (Battery,), {"connector": source})()
    with account("as-documented") as sandbox:
        scenario = scenario_of(tmp_path, sandbox)
        # As published, the battery sees nothing wrong.
        battery.test_basic_read(scenario)
        with pytest.raises(AssertionError):
            battery.test_each_record_comes_once(scenario, sandbox)
