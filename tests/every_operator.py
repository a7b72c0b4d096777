"""All operators and sensors of the package, found by walking it, so that one that is added is tested too."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

from airflow_provider_helpcrunch import operators, sensors
from airflow_provider_helpcrunch.operators.base import HelpCrunchOperator

PACKAGES = (f"{operators.__name__}.", f"{sensors.__name__}.")

# Relative paths: the tests that use them run in a directory of their own.
REQUIRED: dict[str, dict[str, Any]] = {
    "ExportAgentsOperator": {"base_path": "exports/agents"},
    "ExportChatsOperator": {"base_path": "exports/chats"},
    "ExportCustomersOperator": {"base_path": "exports/customers"},
    "ExportDepartmentsOperator": {"base_path": "exports/departments"},
    "ExportMessagesOperator": {"chats_path": "exports/chats", "base_path": "exports/messages"},
    "ListMessagesOperator": {"chats": [4410021]},
    "ReassignChatsOperator": {"from_agents": [1001], "to_agents": [1002]},
    "SendMessageOperator": {"chat_id": 4410021, "text": "In the spring survey", "type": "private"},
    "UpdateChatAssigneeOperator": {"chat_id": 4410021, "assignee_id": 1002},
    "UpdateChatsOperator": {"plan": [{"id": 4410021, "assignee": 1002}]},
    "UpsertCustomersOperator": {"customers": [{"userId": "u-1", "name": "Ada"}]},
}
"""Required arguments; an operator that has some and is missing here fails its tests."""


def _is_complete(operator: type[HelpCrunchOperator]) -> bool:
    """Say whether somebody can use the class as it is: the bases have methods that are not implemented."""
    methods = (
        getattr(operator, name) for name in ("perform", "runner", "table", "work") if hasattr(operator, name)
    )
    return not any("raise NotImplementedError" in inspect.getsource(method) for method in methods)


def every_operator() -> list[type[HelpCrunchOperator]]:
    for package in (operators, sensors):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    found, classes = [], [HelpCrunchOperator]
    while classes:
        operator = classes.pop()
        classes.extend(operator.__subclasses__())
        if _is_complete(operator) and operator.__module__.startswith(PACKAGES):
            found.append(operator)
    return sorted(set(found), key=lambda operator: operator.__name__)
