"""The connection form on three versions of Airflow: what is entered is kept, the key is not shown, and it works."""

from __future__ import annotations

import pytest
from connection_forms import ConnectionForm, FormOfAirflow2, FormOfAirflow3
from pictures import Pictures
from playwright.sync_api import Page, expect
from stack import AIRFLOWS, Stack

from airflow_provider_helpcrunch.get_provider_info import get_provider_info

pytestmark = [
    pytest.mark.ui,
    pytest.mark.slow,
    pytest.mark.parametrize("airflow", AIRFLOWS.values(), ids=AIRFLOWS, indirect=True),
]

CONN_ID = "helpcrunch_shop"
KNOWN = "HelpCrunch knows this key: organization shop.example."
BUTTON_SAYS = {
    # Airflow sends 0 for the port that no connection has, and refuses that as a change: see docs/connection.md.
    "airflow3": "The host or port to test differs from the stored connection.",
    "constraints-3.1.8": KNOWN,
    "airflow2": KNOWN,
}
"""What Airflow's own button says in each environment."""

(META,) = get_provider_info()["connection-types"]
PLACEHOLDERS = META["ui-field-behaviour"]["placeholders"]
FIELDS = META["conn-fields"]
ENTERED = {
    "requests_per_minute": "60",
    "rate_limit_store": "sqlite://",
    "read_timeout": "12.5",
    "inbox_domain": "shop",
}
"""What is entered into the form, by the name of the extra."""


@pytest.fixture(scope="session")
def form(page: Page, airflow: Stack) -> ConnectionForm:
    return FormOfAirflow2(page) if airflow.environment == "airflow2" else FormOfAirflow3(page)


@pytest.fixture(scope="session")
def saved(form: ConnectionForm, airflow: Stack) -> ConnectionForm:
    """Add a connection as a person does who has read the page on connections."""
    form.add(CONN_ID)
    form.field("API URL").fill(airflow.api_url)
    form.field("API key").fill(airflow.key)
    form.show_extra()
    for name, value in ENTERED.items():
        form.field(FIELDS[name]["label"]).fill(value)
    form.save()
    return form


def test_the_form_says_what_belongs_where(form: ConnectionForm, airflow: Stack, pictures: Pictures) -> None:
    form.add("helpcrunch_default")
    assert [word for word in ("Login", "Port", "Schema", "Host", "Password") if word in form.text()] == []
    expect(form.field("API URL")).to_have_attribute("placeholder", PLACEHOLDERS["host"])
    expect(form.field("API key")).to_have_attribute("placeholder", PLACEHOLDERS["password"])
    expect(form.field("API key")).to_have_attribute("type", "password")
    if airflow.environment == "airflow3":
        pictures.take(form.page, "connection", height=800)
    form.show_extra()
    for extra in FIELDS.values():
        expect(form.field(extra["label"])).to_have_value("")
        expect(form.page.get_by_text(extra["description"])).to_be_visible()


def test_a_saved_connection_keeps_what_was_entered(saved: ConnectionForm, airflow: Stack) -> None:
    saved.reopen(CONN_ID)
    expect(saved.field("API URL")).to_have_value(airflow.api_url)
    saved.show_extra()
    for name, extra in FIELDS.items():
        expect(saved.field(extra["label"])).to_have_value(ENTERED.get(name, ""))


def test_the_key_is_not_shown_again(saved: ConnectionForm, airflow: Stack) -> None:
    saved.reopen(CONN_ID)
    if saved.field("API key").input_value():
        saved.field("API key").locator("xpath=following::button").first.click()
        expect(saved.field("API key")).to_have_attribute("type", "text")
        expect(saved.field("API key")).to_have_value("***")
    assert airflow.key not in saved.page.content()


def test_the_button_says_whether_it_works(saved: ConnectionForm, airflow: Stack) -> None:
    before = len(airflow.journal())
    says = saved.press_test(CONN_ID, airflow.key)
    assert BUTTON_SAYS[airflow.environment] in says
    asked = [request["path"] for request in airflow.journal()[before:]]
    assert asked == (["/v1/organization"] if says == KNOWN else [])


def test_a_change_keeps_the_key_and_the_command_line_says_that_it_works(
    saved: ConnectionForm, airflow: Stack
) -> None:
    saved.reopen(CONN_ID)
    saved.show_extra()
    saved.field("Connect timeout (seconds)").fill("5")
    saved.save()
    before = len(airflow.journal())
    assert "Connection success!" in airflow.command("connections", "test", CONN_ID)
    (request,) = airflow.journal()[before:]
    assert (request["path"], request["status"]) == ("/v1/organization", 200)
