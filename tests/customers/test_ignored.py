"""Fields that an account accepts and does not keep: they are told, and not sent for ever."""

from __future__ import annotations

import json
from typing import Any

import pytest
from upserting import Work, client_of, created, customer, outcomes, writes

from airflow_provider_helpcrunch.customers.ignored import MOST_IGNORED, IgnoredFields
from airflow_provider_helpcrunch.customers.progress import Progress
from airflow_provider_helpcrunch.sandbox import Sandbox
from airflow_provider_helpcrunch.sandbox.customers import FIELDS

ROWS = 8


def people(**fields: Any) -> list[dict[str, Any]]:
    return [{"userId": f"u-{number}", **fields} for number in range(ROWS)]


@pytest.fixture(autouse=True)
def there(account: Sandbox) -> None:
    created(account, *people(name="Ada"))


def bodies(account: Sandbox) -> list[dict[str, Any]]:
    return [request.body for request in writes(account)]


class TestAFieldThatIsIgnored:
    @pytest.mark.parametrize("name", ["city", "regionCode", "countryCode"])
    def test_is_told_and_not_sent_for_each_row(
        self, name: str, account: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        work = Work(people(**{name: "UA"}))
        results = work.run(account)
        assert outcomes(results) == ["unchanged"] * ROWS
        assert bodies(account) == [{name: "UA"}] * MOST_IGNORED
        assert [result.not_kept or result.not_sent for result in results] == [(name,)] * ROWS
        assert (work.progress.not_kept, work.progress.fields_not_kept) == (ROWS, {name})
        assert f"HelpCrunch has ignored {name} of {MOST_IGNORED} customers in a row" in caplog.text

    def test_is_told_too_where_another_value_is_shown(self, account: Sandbox) -> None:
        shown = [
            each
            for each in account.customers
            if each["userId"] and each["location"]["city"] not in (None, "Lviv")
        ]
        work = Work([{"userId": each["userId"], "city": "Lviv"} for each in shown])
        assert set(outcomes(work.run(account))) == {"unchanged"}
        assert work.progress.not_kept == len(shown) > MOST_IGNORED
        assert len(writes(account)) == MOST_IGNORED

    def test_does_not_keep_the_others_from_being_sent(self, account: Sandbox) -> None:
        work = Work(people(name="Adele", city="Lviv"), add_tags=({"name": "vip"},))
        results = work.run(account)
        assert outcomes(results) == ["updated"] * ROWS
        assert {result.names for result in results} == {("name", "tags")}
        changes = [body for body in bodies(account) if "tags" not in body]
        assert changes[:MOST_IGNORED] == [{"name": "Adele", "city": "Lviv"}] * MOST_IGNORED
        assert changes[MOST_IGNORED:] == [{"name": "Adele"}] * (ROWS - MOST_IGNORED)
        assert work.progress.not_kept == ROWS
        again = Work(people(name="Adele", city="Lviv"), add_tags=({"name": "vip"},))
        assert outcomes(again.run(account)) == ["unchanged"] * ROWS

    def test_of_a_new_customer(self, account: Sandbox) -> None:
        work = Work([{"userId": f"new-{number}", "city": "Lviv"} for number in range(ROWS)])
        assert outcomes(work.run(account)) == ["created"] * ROWS
        assert (work.progress.not_kept, work.progress.counts()["created"]) == (ROWS, ROWS)
        assert [request.method for request in writes(account)].count("PATCH") == MOST_IGNORED

    def test_because_the_account_does_not_show_it(self) -> None:
        account = Sandbox(rate_limit=None, agents=1, chats=20, shape="old")
        created(account, *people())
        work = Work(people(createdFrom="telegram"))
        assert outcomes(work.run(account)) == ["unchanged"] * ROWS
        assert (work.progress.not_kept, work.progress.fields_not_kept) == (ROWS, {"createdFrom"})
        assert len(writes(account)) == MOST_IGNORED

    def test_is_planned_by_a_dry_run_which_cannot_know(self, account: Sandbox) -> None:
        work = Work(people(city="Lviv"), dry_run=True)
        assert outcomes(work.run(account)) == ["planned"] * ROWS
        assert work.progress.not_kept == 0


class TestANewCustomer:
    """Compared with its row, as one who was there is."""

    def test_in_an_account_that_does_not_show_a_field(self) -> None:
        account = Sandbox(rate_limit=None, agents=1, chats=20, shape="old")
        fields = {"createdFrom": "telegram", "integrationId": "7", "city": "Lviv"}
        first, again = Work(people(**fields)), Work(people(**fields))
        results = first.run(account)
        assert outcomes(results) == ["created"] * ROWS
        assert {result.names for result in results} == {("userId",)}
        again.run(account)
        for work in (first, again):
            assert (work.progress.not_kept, work.progress.fields_not_kept) == (ROWS, set(fields))
        # Only what a creation cannot set takes another request, and is given up like that of those who were there.
        made = bodies(account)[:-MOST_IGNORED]
        assert [body for body in made if "userId" not in body] == [{"city": "Lviv"}] * MOST_IGNORED
        assert len([body for body in made if "userId" in body]) == ROWS

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *(("customData", {"plan": "gold"}), ("tags", ["vip"]), ("phone", "+49 30 1234567")),
            *(("firstSeen", 1_600_000_000), ("source", "import"), ("locale", "uk"), ("integrationId", "7")),
        ],
    )
    def test_without_a_field_that_an_update_keeps(self, name: str, value: Any, account: Sandbox) -> None:
        client = client_of(account)
        honest = client.create_customer
        client.create_customer = lambda fields: honest(  # type: ignore[method-assign]
            {each: given for each, given in fields.items() if each != name}
        )
        rows = [{"userId": f"new-{number}", "name": "Bo", name: value} for number in range(ROWS)]
        work = Work(rows)
        results = work.run(client)
        assert outcomes(results) == ["created"] * ROWS
        # HelpCrunch sets firstSeen itself, so that is not left as it was.
        # HelpCrunch sets the time itself, so it has not left that as it was.
        made = {"userId", "name", *({name} & {"firstSeen"})}
        assert all(set(result.names) == made for result in results)
        assert (work.progress.not_kept, work.progress.fields_not_kept) == (ROWS, {name})
        assert len(writes(account)) == ROWS
        again = Work(rows)
        assert outcomes(again.run(client)) == ["updated"] * ROWS
        assert again.progress.not_kept == 0
        assert outcomes(Work(rows).run(client)) == ["unchanged"] * ROWS

    def test_whose_values_are_written_in_another_way(
        self, account: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(FIELDS, "locale", FIELDS["locale"]._replace(read=str.lower))
        results = Work([{"userId": "new", "locale": "UK"}]).run(account)
        assert [(each.outcome, each.names, each.not_kept) for each in results] == [
            ("created", ("userId", "locale"), ("locale",))
        ]

    def test_who_is_kept_as_sent(self, account: Sandbox) -> None:
        work = Work(
            [{"userId": "new", "phone": "+49-30", "email": "A@b.example", "customData": {"orders": 4.0}}]
        )
        assert outcomes(work.run(account)) == ["created"]
        assert work.progress.not_kept == 0


class TestAFieldThatIsKept:
    def test_is_sent_once(self, account: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(FIELDS, "city", FIELDS["referer"]._replace(field="city"))
        work = Work(people(city="Lviv"))
        assert outcomes(work.run(account)) == ["updated"] * ROWS
        assert work.progress.not_kept == 0
        assert customer(account, userId="u-1")["location"]["city"] == "Lviv"
        assert outcomes(Work(people(city="Lviv")).run(account)) == ["unchanged"] * ROWS

    def test_in_another_way_is_told_and_goes_on_being_sent(
        self, account: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(FIELDS, "locale", FIELDS["locale"]._replace(read=str.lower))
        work = Work(people(locale="UK"))
        results = work.run(account)
        assert outcomes(results) == ["updated"] * ROWS
        assert {result.not_kept for result in results} == {("locale",)}
        assert len(writes(account)) == ROWS

    def test_now_and_then_is_never_given_up(self) -> None:
        ignored, change = IgnoredFields(), {"city": "Lviv"}
        for _ in range(5):
            for _ in range(MOST_IGNORED - 1):
                ignored.note(change, ["city"])
            ignored.note(change, [])
        assert ignored.split(change) == (change, [])
        ignored.note({"name": "Ada"}, [])
        for _ in range(MOST_IGNORED):
            ignored.note(change, ["city"])
        assert ignored.split({**change, "name": "Ada"}) == ({"name": "Ada"}, ["city"])


class TestProgress:
    def test_a_retry_counts_the_rows_of_earlier_tries(self) -> None:
        first = Progress()
        first.record(1, "created", not_kept=["city"])
        first.record(2, "updated", not_kept=["locale", "city"])
        first.record(3, "unchanged", not_kept=["city"])
        first.record(4, "failed", "no response")
        first.record(5, "unchanged")
        parts = [json.loads(json.dumps(first.part(start, start + 2))) for start in (0, 2, 4)]
        again = Progress.from_json(*parts).retried()
        assert {name: count for name, count in again.counts().items() if count} == {
            "created": 1,
            "updated": 1,
            "unchanged": 2,
        }
        assert (again.not_kept, again.fields_not_kept) == (3, {"city", "locale"})
        assert [again.is_open(row) for row in range(1, 6)] == [False, False, False, True, False]
