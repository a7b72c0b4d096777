"""
Provider metadata for Airflow: connection form, hook, operators, sensors, triggers.

The connection form is written only here. Airflow 3.2 and newer reads it from here; for older versions,
:mod:`airflow_provider_helpcrunch.hooks.connection_form` derives the hook's two form methods from it.

This module imports nothing from Airflow: provider discovery runs while Airflow's configuration is half loaded, and such
an import would take the whole installation down.
"""

from __future__ import annotations

from typing import Any

_INTEGRATION = "HelpCrunch"

# The extra stays: where it is hidden, the button Test of Airflow 2 does nothing for a saved connection. Airflow 3 shows
# it in any case.
_STANDARD_FIELDS: dict[str, Any] = {
    "hidden-fields": ["login", "port", "schema"],
    "relabeling": {"password": "API key", "host": "API URL"},
    "placeholders": {
        "password": "from HelpCrunch: Settings → Developers → Public API",
        "host": "https://api.helpcrunch.com/v1",
    },
}

# The descriptions name the defaults: Airflow 3 shows no placeholders for custom fields, and a default in the schema
# would be saved with every connection. A field is optional only if its type list holds "null".
_EXTRA_FIELDS: dict[str, Any] = {
    "requests_per_minute": {
        "label": "Requests per minute",
        "description": "Share of the account's limit that these tasks may use together. Empty: 120, the whole limit.",
        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 100_000},
    },
    "rate_limit_store": {
        "label": "Rate limit store",
        "description": (
            "Where tasks count their requests together. Empty: sqlite://, a file in the temporary directory that all "
            "processes of this user on one machine share; sqlite:///directory puts it elsewhere. "
            "redis://host:port/db (rediss:// with TLS) is shared by all machines. memory:// counts each process alone."
        ),
        "schema": {"type": ["string", "null"], "examples": ["sqlite://", "redis://host:6379/0", "memory://"]},
    },
    "rate_limit_conn_id": {
        "label": "Rate limit connection",
        "description": (
            "Instead of a rate limit store: the id of a connection of type redis, for a Redis with a password or "
            "certificates. Empty: the rate limit store is used."
        ),
        "schema": {"type": ["string", "null"], "examples": ["redis_default"]},
    },
    "rate_limit_on_failure": {
        "label": "While Redis is unreachable",
        "description": (
            "While Redis is unreachable, requests wait for up to the task's patience, or fail at once. They are never "
            "sent uncounted. Empty: wait."
        ),
        "schema": {"type": ["string", "null"], "enum": ["wait", "fail"]},
    },
    "connect_timeout": {
        "label": "Connect timeout (seconds)",
        "description": "Seconds to wait for a connection to HelpCrunch, above 0 and at most 3600. Empty: 10.",
        "schema": {"type": ["number", "null"], "minimum": 0, "exclusiveMinimum": 0, "maximum": 3600},
    },
    "read_timeout": {
        "label": "Read timeout (seconds)",
        "description": (
            "Seconds to wait for a response to begin, and again for it to be complete, above 0 and at most 3600. "
            "Empty: 20."
        ),
        "schema": {"type": ["number", "null"], "minimum": 0, "exclusiveMinimum": 0, "maximum": 3600},
    },
    "inbox_domain": {
        "label": "Inbox domain",
        "description": (
            "The first part of your inbox's address, such as shop for https://shop.helpcrunch.com/inbox, for links to "
            "chats. Empty: tasks that change many chats ask HelpCrunch, those about one chat have no link."
        ),
        "schema": {"type": ["string", "null"], "examples": ["shop", "shop.helpcrunch.com"]},
    },
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, in the shape of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-helpcrunch",
        "name": _INTEGRATION,
        "description": (
            "`HelpCrunch <https://helpcrunch.com/>`__: agents, departments, customers, chats and messages of an "
            "account."
        ),
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://docs.helpcrunch.com/en/rest-api-v1",
                "tags": ["service"],
            }
        ],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    "airflow_provider_helpcrunch.operators.agents",
                    "airflow_provider_helpcrunch.operators.applications",
                    "airflow_provider_helpcrunch.operators.chats",
                    "airflow_provider_helpcrunch.operators.customers",
                    "airflow_provider_helpcrunch.operators.departments",
                    "airflow_provider_helpcrunch.operators.exports",
                    "airflow_provider_helpcrunch.operators.messages",
                    "airflow_provider_helpcrunch.operators.upsert",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["airflow_provider_helpcrunch.sensors.chats"],
            }
        ],
        "hooks": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["airflow_provider_helpcrunch.hooks.helpcrunch"],
            }
        ],
        "triggers": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    "airflow_provider_helpcrunch.triggers.budget",
                    "airflow_provider_helpcrunch.triggers.chats",
                    "airflow_provider_helpcrunch.triggers.events",
                ],
            }
        ],
        "extra-links": ["airflow_provider_helpcrunch.links.HelpCrunchChatLink"],
        "connection-types": [
            {
                "connection-type": "helpcrunch",
                "hook-class-name": "airflow_provider_helpcrunch.hooks.helpcrunch.HelpCrunchHook",
                "hook-name": _INTEGRATION,
                "ui-field-behaviour": _STANDARD_FIELDS,
                "conn-fields": _EXTRA_FIELDS,
            }
        ],
    }
