"""
Connection form for Airflow before 3.2, which reads it from the hook class instead of the provider metadata.

Both functions derive it from :mod:`airflow_provider_helpcrunch.get_provider_info`, so that the form is written once.
Delete this module when the lowest supported Airflow is 3.2.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_helpcrunch.get_provider_info import get_provider_info


def get_ui_field_behaviour() -> dict[str, Any]:
    """Return which standard fields the form hides and how it labels the others, with the keys of Airflow 2."""
    return {key.replace("-", "_"): value for key, value in _connection_type()["ui-field-behaviour"].items()}


def get_connection_form_widgets() -> dict[str, Any]:
    """
    Return one form field for each extra of the connection, by name; none if ``wtforms`` is not installed. The settings
    can be written into the form's extra field then.

    Airflow 2.11 installs it with Flask AppBuilder. Airflow 3.0 and 3.1 have neither, unless the FAB provider is
    installed: 3.1 has stand-ins for both, and 3.0 asks no hook for its form without ``wtforms``.

    An empty field arrives in the connection's extra as ``None`` or not at all, a number with a fraction as text.
    """
    try:
        from wtforms import IntegerField, StringField
        from wtforms.validators import Optional
    except ModuleNotFoundError:
        # If this error left the function, Airflow would drop the labels of the standard fields as well.
        return {}
    try:
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
    except ModuleNotFoundError:
        look: dict[str, Any] = {}  # Airflow 3 draws the form itself
    else:
        look = {"widget": BS3TextFieldWidget()}

    # Airflow 2 drops a hook whose form has a field of any class but integer, string, password and boolean.
    classes = {"string": StringField, "integer": IntegerField, "number": StringField}
    widgets = {}
    for name, field in _connection_type()["conn-fields"].items():
        field_class = classes[field["schema"]["type"][0]]
        widgets[name] = field_class(
            field["label"],
            description=field["description"],
            validators=[Optional()],
            **look,
        )
    return widgets


def _connection_type() -> dict[str, Any]:
    connection_type: dict[str, Any] = get_provider_info()["connection-types"][0]
    return connection_type
