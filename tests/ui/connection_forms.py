"""The connection form as Airflow 3 and Airflow 2 draw it, with the same methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fields import field
from playwright.sync_api import Locator, Page, expect

CONN_TYPE = "HelpCrunch"
EXTRA_FIELDS = "Extra Fields"


class ConnectionForm(Protocol):
    """
    What a person does with a connection.

    :param page: the browser's page
    """

    page: Page

    def add(self, conn_id: str) -> None:
        """Open the form for a new connection of our type."""

    def reopen(self, conn_id: str) -> None:
        """Open the form for a saved connection."""

    def field(self, label: str) -> Locator:
        """Return where a person types, by the label that they read."""

    def show_extra(self) -> None:
        """Show the fields that are kept in the connection's extra."""

    def text(self) -> str:
        """Return all that the form says."""

    def save(self) -> None:
        """Save, and see the list of connections."""

    def press_test(self, conn_id: str, key: str) -> str:
        """Test a saved connection by Airflow's button, and return what Airflow says."""


@dataclass(frozen=True)
class FormOfAirflow3:
    """A dialog above the list of connections, with three parts that unfold one at a time."""

    page: Page

    @property
    def _dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def add(self, conn_id: str) -> None:
        self.page.goto("/connections")
        self.page.get_by_role("button", name="Add Connection").click()
        self._dialog.get_by_label("Connection ID").fill(conn_id)
        self._dialog.get_by_label("Connection Type").fill(CONN_TYPE)
        self.page.get_by_role("option", name=CONN_TYPE, exact=True).click()
        expect(self.field("API key")).to_be_visible()

    def reopen(self, conn_id: str) -> None:
        self.page.goto("/connections")
        self._row(conn_id).get_by_role("button", name="Edit Connection").click()
        expect(self.field("API key")).to_be_visible()

    def field(self, label: str) -> Locator:
        return field(self._dialog, label)

    def show_extra(self) -> None:
        self._dialog.get_by_role("button", name=EXTRA_FIELDS, exact=True).click()
        expect(self.field("Requests per minute")).to_be_visible()

    def text(self) -> str:
        return self._dialog.inner_text()

    def save(self) -> None:
        self._dialog.get_by_role("button", name="Save").click()
        expect(self._dialog).to_be_hidden()

    def press_test(self, conn_id: str, key: str) -> str:
        """Without the key: the one that is stored is used."""
        self.page.goto("/connections")
        with self.page.expect_response("**/connections/test") as told:
            self._row(conn_id).get_by_role("button", name="Test Connection").click()
        said = told.value.json()
        if not told.value.ok:
            # The sentence is not shown.
            expect(self.page.get_by_text("Test Connection Failed")).to_be_visible()
        return str(said.get("message") or said["detail"])

    def _row(self, conn_id: str) -> Locator:
        return self.page.get_by_role("row").filter(
            has=self.page.get_by_role("cell", name=conn_id, exact=True)
        )


@dataclass(frozen=True)
class FormOfAirflow2:
    """A page with all fields below each other."""

    page: Page

    def add(self, conn_id: str) -> None:
        self.page.goto("/connection/list/")
        self.page.get_by_role("link", name="Add").first.click()
        self.page.get_by_label("Connection Id").fill(conn_id)
        # The list that a person sees is drawn beside the real one, which is hidden.
        self.page.locator("select#conn_type").select_option(label=CONN_TYPE)
        expect(self.field("API key")).to_be_visible()

    def reopen(self, conn_id: str) -> None:
        self.page.goto("/connection/list/")
        self.page.get_by_role("row").filter(has_text=conn_id).get_by_role("link", name="Edit").click()
        expect(self.field("API key")).to_be_visible()

    def field(self, label: str) -> Locator:
        return self.page.get_by_label(label, exact=True)

    def show_extra(self) -> None:
        """All fields are visible."""

    def text(self) -> str:
        return self.page.locator("form#model_form").inner_text()

    def save(self) -> None:
        self.page.get_by_role("button", name="Save").click()
        expect(self.page.get_by_role("heading", name="List Connection")).to_be_visible()

    def press_test(self, conn_id: str, key: str) -> str:
        """With the key: the form does not get the one that is stored."""
        self.reopen(conn_id)
        self.field("API key").fill(key)
        with self.page.expect_response("**/connections/test"):
            self.page.get_by_role("button", name="Test").click()
        alert = self.page.locator(".alert")
        expect(alert).not_to_contain_text("Warning")
        return alert.inner_text()
