"""Fields of Airflow 3's forms, found by the label that a person reads."""

from __future__ import annotations

import re

from playwright.sync_api import Locator


def field(form: Locator, label: str) -> Locator:
    """
    Return where a person types, chooses or switches.

    :param form: the dialog with the form
    :param label: the text beside the field, without the star of what is required
    """
    text = re.compile(rf"^{re.escape(label)}\s*\*?$")
    # Airflow ties its labels only to some kinds of field. The others stand in a group with it.
    group = form.get_by_role("group").filter(has=form.page.get_by_text(text))
    return form.get_by_label(text).or_(group.locator("input[list]")).or_(group.get_by_role("textbox")).first
