"""Privacy as operators take it: arguments that were rendered from templates, and a salt that no log or page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.operators.arguments import items, refused

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.privacy import Privacy
    from airflow_provider_helpcrunch.schema import Table

SHORTEST_SALT = 8
"""Characters. Airflow does not mask short texts, and short salts can be guessed."""


def chosen_privacy(table: Table, columns: Any, hashed: Any, salt: Any) -> Privacy:
    """
    Return the choice that the arguments of an operator make.

    :param table: the resource and all its columns
    :param columns: ``columns``, in any of the forms of :func:`.arguments.items`
    :param hashed: ``hash``, likewise
    :param salt: ``hash_salt``
    :raises HelpCrunchConfigurationError: an argument is wrong
    """
    from airflow_provider_helpcrunch.privacy import Privacy

    if isinstance(salt, str) and 0 < len(salt.strip()) < SHORTEST_SALT:
        msg = (
            f"hash_salt must have at least {SHORTEST_SALT} characters: Airflow does not mask short texts in logs, and "
            "short salts can be guessed."
        )
        raise refused(msg)
    return Privacy.of(table, _names("columns", columns), _names("hash", hashed), salt)


def mask_salt(salt: Any) -> None:
    """
    Have Airflow mask a salt in logs and in the view of rendered templates.

    :param salt: the argument; templates and references to upstream tasks have no value yet and are passed over
    """
    if isinstance(salt, (int, float)) or (isinstance(salt, str) and "{{" not in salt):
        from airflow_provider_helpcrunch._airflow import mask_secret

        mask_secret(str(salt))


def _names(argument: str, value: Any) -> Any:
    return None if value is None else items(argument, value)
