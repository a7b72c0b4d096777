"""The metadata against Airflow's own rules, and the form as both lines of Airflow show it."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import pkgutil
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.triggers.base import BaseTrigger
from airflow_process import run

import airflow_provider_helpcrunch
from airflow_provider_helpcrunch._airflow import BaseHook, BaseOperator, BaseSensorOperator
from airflow_provider_helpcrunch.get_provider_info import get_provider_info
from airflow_provider_helpcrunch.hooks import connection_form

pytestmark = pytest.mark.older

DISTRIBUTION = "airflow-provider-helpcrunch"
CONNECTION_TYPE = get_provider_info()["connection-types"][0]
EXTRAS = [
    "requests_per_minute",
    "rate_limit_store",
    "rate_limit_conn_id",
    "rate_limit_on_failure",
    "connect_timeout",
    "read_timeout",
    "inbox_domain",
]
AIRFLOW_VERSION = tuple(map(int, airflow.__version__.split(".")[:2]))
AIRFLOW_3 = AIRFLOW_VERSION >= (3, 0)

airflow_3_only = pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 3 reads the form from the metadata")
airflow_2_only = pytest.mark.skipif(AIRFLOW_3, reason="Airflow 2 asks the hook for the form")


def airflow_schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((Path(airflow.__file__).parent / name).read_text())
    return schema


def modules_below(package: str) -> set[str]:
    path = importlib.import_module(package).__path__
    return {f"{package}.{module.name}" for module in pkgutil.iter_modules(path)}


def public_names(module: Any) -> list[Any]:
    """Return what the module itself defines, or exports on purpose from the modules below it."""
    return [getattr(module, name) for name in getattr(module, "__all__", vars(module))]


BASES = ("base", "resumable")
"""Modules with classes that only other modules of the package derive from."""


def offers(module: str, base: type) -> bool:
    """Whether ``module`` defines a class for users: public and of the kind ``base``. Those in ``BASES`` have none."""
    classes = [kind for kind in public_names(importlib.import_module(module)) if isinstance(kind, type)]
    own = [kind.__name__ for kind in classes if kind.__module__.startswith(module) and issubclass(kind, base)]
    return module.rpartition(".")[2] not in BASES and any(not name.startswith("_") for name in own)


def run_python(code: str, home: Path) -> str:
    """Run ``code`` in a process of its own, on an Airflow that has nothing yet; return what it prints last."""
    return run(code, home, AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="True").strip().splitlines()[-1]


class TestMetadata:
    def test_valid_for_discovery(self) -> None:
        jsonschema.validate(get_provider_info(), airflow_schema("provider_info.schema.json"))

    @airflow_3_only
    def test_valid_for_the_stricter_schema_of_official_providers(self) -> None:
        schema = airflow_schema("provider.yaml.schema.json")
        for key in ("connection-types", "integrations", "operators", "sensors", "hooks"):
            jsonschema.validate(get_provider_info()[key], schema["properties"][key])

    def test_package_name_is_the_distribution(self) -> None:
        assert get_provider_info()["package-name"] == DISTRIBUTION
        assert importlib.metadata.version(DISTRIBUTION) == airflow_provider_helpcrunch.__version__

    def test_entry_point(self) -> None:
        points = importlib.metadata.entry_points(group="apache_airflow_provider")
        assert get_provider_info in [
            point.load() for point in points if point.dist and point.dist.name == DISTRIBUTION
        ]

    def test_importing_it_leaves_airflow_alone(self, tmp_path: Path) -> None:
        code = (
            "import sys, airflow_provider_helpcrunch.get_provider_info as module; module.get_provider_info();"
            "print(sorted({name.split('.')[0] for name in sys.modules} & {'airflow', 'requests', 'msgspec'}))"
        )
        assert run_python(code, tmp_path) == "[]"

    def test_each_call_returns_the_same(self) -> None:
        assert get_provider_info() == get_provider_info()


class TestPaths:
    def test_hook_class_is_what_airflow_expects(self) -> None:
        module, _, name = CONNECTION_TYPE["hook-class-name"].rpartition(".")
        hook = getattr(importlib.import_module(module), name)
        assert hook.conn_type == CONNECTION_TYPE["connection-type"] == "helpcrunch"
        assert hook.hook_name == CONNECTION_TYPE["hook-name"] == "HelpCrunch"
        assert hook.default_conn_name == "helpcrunch_default"
        assert hook.conn_name_attr == "helpcrunch_conn_id"

    @pytest.mark.parametrize("kind", ["operators", "sensors", "hooks", "triggers"])
    def test_every_listed_module_imports(self, kind: str) -> None:
        for entry in get_provider_info()[kind]:
            for module in entry["python-modules"]:
                importlib.import_module(module)

    @pytest.mark.parametrize(
        ("kind", "base"),
        [
            ("operators", BaseOperator),
            ("sensors", BaseSensorOperator),
            ("hooks", BaseHook),
            ("triggers", BaseTrigger),
        ],
    )
    def test_every_module_of_the_tree_is_listed(self, kind: str, base: type) -> None:
        package = f"airflow_provider_helpcrunch.{kind}"
        listed = {module for entry in get_provider_info()[kind] for module in entry["python-modules"]}
        assert listed == {module for module in modules_below(package) if offers(module, base)}


class TestForm:
    def test_every_extra_is_optional_and_says_its_unit_and_default(self) -> None:
        fields = CONNECTION_TYPE["conn-fields"]
        assert list(fields) == EXTRAS
        for field in fields.values():
            assert field["schema"]["type"][1:] == ["null"]
            assert "Empty: " in field["description"]

    def test_hook_behaviour_equals_the_metadata(self, form_library: None) -> None:
        derived = connection_form.get_ui_field_behaviour()
        assert {key.replace("_", "-"): value for key, value in derived.items()} == CONNECTION_TYPE[
            "ui-field-behaviour"
        ]
        jsonschema.validate(derived, airflow_schema("customized_form_field_behaviours.schema.json"))

    def test_hook_widgets_equal_the_metadata(self, form_library: None) -> None:
        widgets = connection_form.get_connection_form_widgets()
        told = {name: field.args[0] for name, field in widgets.items()}
        assert told == {name: field["label"] for name, field in CONNECTION_TYPE["conn-fields"].items()}
        assert [field.field_class.__name__ for field in widgets.values()] == [
            "IntegerField",
            *["StringField"] * 6,
        ]

    def test_without_the_fab_provider_the_labels_stay_and_extra_can_be_filled_in(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("flask_appbuilder", "flask_appbuilder.fieldwidgets", "wtforms", "wtforms.validators"):
            monkeypatch.setitem(sys.modules, name, None)
        assert connection_form.get_connection_form_widgets() == {}
        behaviour = connection_form.get_ui_field_behaviour()
        assert behaviour["relabeling"] == {"password": "API key", "host": "API URL"}
        assert behaviour["hidden_fields"] == ["login", "port", "schema"]
        jsonschema.validate(behaviour, airflow_schema("customized_form_field_behaviours.schema.json"))

    def test_two_choices_are_a_choice_and_no_free_text(self) -> None:
        schema = CONNECTION_TYPE["conn-fields"]["rate_limit_on_failure"]["schema"]
        assert schema == {"type": ["string", "null"], "enum": ["wait", "fail"]}

    def test_hook_delegates(self, form_library: None) -> None:
        from airflow_provider_helpcrunch.hooks.helpcrunch import HelpCrunchHook

        assert HelpCrunchHook.get_ui_field_behaviour() == connection_form.get_ui_field_behaviour()
        assert list(HelpCrunchHook.get_connection_form_widgets()) == EXTRAS


class TestFormAsShown:
    @pytest.mark.long
    @airflow_3_only
    def test_airflow_3_api(self, tmp_path: Path) -> None:
        if AIRFLOW_VERSION == (3, 0) and find_spec("wtforms") is None:
            pytest.skip("Airflow 3.0 asks no hook for its form where wtforms is missing")
        form = json.loads(run_python(ASK_API, tmp_path))
        standard = form["standard_fields"]
        assert form["hook_name"] == "HelpCrunch"
        assert standard["password"] == {
            "hidden": False,
            "title": "API key",
            "placeholder": "from HelpCrunch: Settings → Developers → Public API",
        }
        assert standard["host"]["title"] == "API URL"
        assert standard["host"]["placeholder"] == "https://api.helpcrunch.com/v1"
        assert [name for name in ("login", "port", "url_schema") if standard[name]["hidden"]] == [
            "login",
            "port",
            "url_schema",
        ]
        assert {name: field["description"] for name, field in form["extra_fields"].items()} == {
            name: field["description"] for name, field in CONNECTION_TYPE["conn-fields"].items()
        }
        assert all("null" in field["schema"]["type"] for field in form["extra_fields"].values())

    @airflow_2_only
    def test_airflow_2_providers_manager(self, tmp_path: Path) -> None:
        form = json.loads(run_python(ASK_PROVIDERS_MANAGER, tmp_path))
        assert form["widgets"] == {f"extra__helpcrunch__{name}": name for name in EXTRAS}
        behaviour = form["behaviour"]
        assert behaviour["hidden_fields"] == ["login", "port", "schema"]
        assert behaviour["relabeling"] == {"password": "API key", "host": "API URL"}


ASK_API = """
import json
from airflow.api_fastapi.app import create_app
from fastapi.testclient import TestClient
client = TestClient(create_app())
token = client.get("/auth/token").json()["access_token"]
forms = client.get("/ui/connections/hook_meta", headers={"Authorization": f"Bearer {token}"}).json()
print(json.dumps(next(form for form in forms if form["connection_type"] == "helpcrunch")))
"""

ASK_PROVIDERS_MANAGER = """
import json
from airflow.providers_manager import ProvidersManager
manager = ProvidersManager()
assert "helpcrunch" in manager.hooks and manager.hooks["helpcrunch"] is not None
widgets = {
    name: widget.field_name
    for name, widget in manager.connection_form_widgets.items()
    if name.startswith("extra__helpcrunch__")
}
print(json.dumps({"widgets": widgets, "behaviour": manager.field_behaviours["helpcrunch"]}))
"""


class Field:
    """Stands for an unbound wtforms field, where Airflow 3 brings no wtforms."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs, self.field_class = args, kwargs, type(self)


@pytest.fixture
def form_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real form library on Airflow 2; on Airflow 3 a stand-in, as its API server up to 3.1 used itself."""
    if AIRFLOW_3:
        classes = {name: type(name, (Field,), {}) for name in ("StringField", "IntegerField")}
        parts: dict[str, dict[str, Any]] = {
            "wtforms": classes,
            "wtforms.validators": {"Optional": Field},
            "flask_appbuilder": {},
            "flask_appbuilder.fieldwidgets": {"BS3TextFieldWidget": Field},
        }
        for name, contents in parts.items():
            module = ModuleType(name)
            vars(module).update(contents)
            monkeypatch.setitem(sys.modules, name, module)
