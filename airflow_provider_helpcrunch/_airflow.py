"""
Airflow's names, from ``airflow.sdk`` or, in older versions, from their former modules.

Each name is imported at its first use, so a DAG file pays only for those that it uses. The ``common-compat`` provider
has the same map, but the constraints of Airflow 2.11.0 and 3.0.6, mandatory on managed services, pin it below the
release that brought the map.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import (
        Asset,
        BaseHook,
        BaseOperator,
        BaseOperatorLink,
        BaseSensorOperator,
        Connection,
        Context,
        ObjectStoragePath,
        PokeReturnValue,
    )
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowOptionalProviderFeatureException,
        TaskDeferred,
    )
    from airflow.sdk.execution_time.xcom import XCom
    from airflow.sdk.lineage import get_hook_lineage_collector
    from airflow.sdk.log import mask_secret
    from airflow.sdk.observability.stats import Stats

__all__ = [
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowOptionalProviderFeatureException",
    "Asset",
    "BaseHook",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "Connection",
    "Context",
    "ObjectStoragePath",
    "PokeReturnValue",
    "Stats",
    "TaskDeferred",
    "XCom",
    "conf",
    "get_hook_lineage_collector",
    "lineage_is_read",
    "mask_secret",
]

_EXCEPTIONS = ("airflow.sdk.exceptions", "airflow.exceptions")
_SENSORS = ("airflow.sdk", "airflow.sdk.bases.sensor", "airflow.sensors.base")

# Newest first: the modules to the right still exist in later versions, and warn there.
_MODULES: dict[str, tuple[str, ...]] = {
    "AirflowException": _EXCEPTIONS,
    "AirflowFailException": _EXCEPTIONS,
    "AirflowNotFoundException": _EXCEPTIONS,
    "AirflowOptionalProviderFeatureException": _EXCEPTIONS,
    "Asset": ("airflow.sdk", "airflow.datasets"),
    "BaseHook": ("airflow.sdk", "airflow.hooks.base"),  # not in airflow.sdk before 3.1
    "BaseOperator": ("airflow.sdk", "airflow.models.baseoperator"),
    "BaseOperatorLink": ("airflow.sdk", "airflow.models.baseoperatorlink"),
    "BaseSensorOperator": _SENSORS,
    "Connection": ("airflow.sdk", "airflow.models.connection"),
    "Context": ("airflow.sdk", "airflow.utils.context"),
    "ObjectStoragePath": ("airflow.sdk", "airflow.io.path"),
    "PokeReturnValue": _SENSORS,
    "Stats": ("airflow.sdk.observability.stats", "airflow.observability.stats", "airflow.stats"),
    "TaskDeferred": _EXCEPTIONS,
    "XCom": ("airflow.sdk.execution_time.xcom", "airflow.models.xcom"),
    "conf": ("airflow.sdk.configuration", "airflow.configuration"),
    "get_hook_lineage_collector": ("airflow.sdk.lineage", "airflow.lineage.hook"),
    "mask_secret": (
        "airflow.sdk.log",
        "airflow.sdk.execution_time.secrets_masker",
        "airflow.utils.log.secrets_masker",
    ),
}
# The client works without Airflow too, in a script or a service. Nobody catches Airflow's exceptions there, so plain
# classes stand in for them, and the tree of errors keeps its shape.
_STAND_INS = {
    "AirflowException": Exception,
    "AirflowFailException": Exception,
    "AirflowOptionalProviderFeatureException": ImportError,
}
_FORMER_NAMES = {"airflow.datasets": {"Asset": "Dataset"}}


def __getattr__(name: str) -> Any:
    """
    Import a name at its first use.

    :param name: one of ``__all__``
    :return: the name; if Airflow is not installed, a stand-in for its exceptions
    :raises AttributeError: it is not a name of this module
    :raises ImportError: the installed Airflow lacks it or failed to import, or Airflow is not installed
    """
    if name not in _MODULES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    for path in _MODULES[name]:
        try:
            module = importlib.import_module(path)
        except ModuleNotFoundError as error:
            if error.name == "airflow" and name in _STAND_INS:
                globals()[name] = value = _stand_in(name)
                return value
            # Not an older Airflow: a module is missing that Airflow's module needs.
            if not path.startswith(str(error.name)):
                raise
            continue
        former = _FORMER_NAMES.get(path, {}).get(name, name)
        if hasattr(module, former):
            globals()[name] = value = getattr(module, former)
            return value
    msg = f"This Airflow has no {name!r} in {' or '.join(_MODULES[name])}; Airflow 2.11 or newer is needed."
    raise ImportError(msg)


def _stand_in(name: str) -> type[Exception]:
    """Return a plain class in place of an exception of Airflow, which is not installed."""
    return type(name, (_STAND_INS[name],), {"__module__": __name__, "__doc__": f"Stands in for {name}."})


def lineage_is_read() -> bool:
    """Return whether a plugin reads the lineage of hooks, by the same check as in Airflow's own collector."""
    try:
        from airflow.sdk.plugins_manager import get_hook_lineage_readers_plugins
    except ModuleNotFoundError:  # before Airflow 3.2
        from airflow import plugins_manager

        plugins_manager.initialize_hook_lineage_readers_plugins()  # type: ignore[attr-defined]
        return bool(plugins_manager.hook_lineage_reader_classes)  # type: ignore[attr-defined]
    return bool(get_hook_lineage_readers_plugins())
