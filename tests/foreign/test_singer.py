"""The client passes the Singer SDK's standard tests, as the source of a tap; two wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from accounts import ACCOUNTS, Client, DoublingClient, LosingClient, account
from singer_sdk.testing import SuiteConfig, TapTestRunner, get_tap_test_class
from singer_sdk.testing.suites import SingerTestSuite
from singer_sdk.testing.tap_tests import StreamPrimaryKeysTest
from singer_sdk.testing.templates import StreamTestTemplate
from tap import HelpCrunchTap

from airflow_provider_helpcrunch.sandbox import Sandbox

pytestmark = pytest.mark.foreign

WHOLE = SuiteConfig(max_records_limit=None)
"""By default the battery stops after 150 records of a stream."""


class AccountRunner(TapTestRunner):
    """Runs the tap on an account, and knows what is in it."""

    def __init__(self, sandbox: Sandbox, client: type[Client] = Client) -> None:
        tap = type("Tap", (HelpCrunchTap,), {"client_class": client})
        super().__init__(tap, {"api_key": sandbox.key, "base_url": sandbox.url}, WHOLE)
        self.account = sandbox


class KeysAreUnique(StreamTestTemplate):
    """``StreamPrimaryKeysTest`` with tuples: as published it compares generators, of which no two are equal."""

    name = "keys_are_unique"

    def test(self) -> None:
        keys = [tuple(record[field] for field in self.stream.primary_keys) for record in self.stream_records]
        assert len(set(keys)) == len(keys)
        assert not any(value is None for key in keys for value in key)


class NothingIsMissing(StreamTestTemplate):
    """Every record of the account was read: no battery can know that without the account."""

    name = "nothing_is_missing"

    def test(self) -> None:
        keys = self.stream.primary_keys
        there = {
            tuple(record[field] for field in keys) for record in self.runner.account.truth(self.stream.name)
        }
        assert {tuple(record[field] for field in keys) for record in self.stream_records} == there


OURS = [SingerTestSuite(kind="tap_stream", tests=[KeysAreUnique, NothingIsMissing])]

Battery = get_tap_test_class(
    HelpCrunchTap,
    config={"api_key": "-", "base_url": "http://127.0.0.1/v1"},
    suite_config=WHOLE,
    custom_suites=OURS,
)


def _accounts() -> Iterator[Any]:
    for name in ACCOUNTS:
        # The battery warns of fields that no record has, and this account knows fewer of them.
        fewer = pytest.mark.filterwarnings("ignore:Fields in transformed catalog but not in records")
        yield pytest.param(name, marks=fewer if name == "older-documentation" else ())


class TestTap(Battery):
    @pytest.fixture(scope="class", params=[*_accounts()])
    @classmethod
    def runner(cls, request: pytest.FixtureRequest) -> Iterator[AccountRunner]:
        with account(request.param) as sandbox:
            runner = AccountRunner(sandbox)
            runner.sync_all()
            yield runner


def failures(runner: TapTestRunner) -> set[str]:
    """Run the battery, and return the names of the tests that failed, each with its stream."""
    runner.sync_all()
    return {
        f"{name.removeprefix('test_tap_stream_')}[{param.id}]"
        for name, params in Battery.params.items()
        for param in params
        if not _holds(getattr(Battery, name), runner, *param.values)
    }


def _holds(run: Callable[..., None], *arguments: Any) -> bool:
    try:
        run(WHOLE, None, *arguments)
    except AssertionError:
        return False
    return True


WRONG = ("agents", "chats", "customers", "messages")
"""Lists that are longer than a page, and the messages of the chats that come twice or never."""


@pytest.mark.parametrize(
    ("client", "failed"),
    [
        (DoublingClient, {f"keys_are_unique[{name}]" for name in WRONG}),
        (LosingClient, {f"nothing_is_missing[{name}]" for name in WRONG}),
    ],
)
def test_a_wrong_client_fails(client: type[Client], failed: set[str]) -> None:
    with account("as-documented") as sandbox:
        assert failures(AccountRunner(sandbox, client)) == failed


def test_the_published_test_of_keys_cannot_fail() -> None:
    test = StreamPrimaryKeysTest()
    test.stream = HelpCrunchTap(config={"api_key": "-", "base_url": "http://127.0.0.1/v1"}).streams["agents"]
    test.stream_records = [{"id": 1}, {"id": 1}]
    test.test()
    right = KeysAreUnique()
    right.stream, right.stream_records = test.stream, test.stream_records
    with pytest.raises(AssertionError):
        right.test()
