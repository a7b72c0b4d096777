"""Privacy as operators take it: arguments that were rendered from templates, and a salt that no log or page shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.operators.arguments import items, refused

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.privacy import Privacy
    from airflow_provider_helpcrunch.schema import Table

SHORTEST_SALT = 8
"""Characters. Airflow does not mask short texts, and short salts can be guessed."""


@dataclass(frozen=True, repr=False)
class Salt:
    """
    A salt that shows as ``***``.

    Airflow writes what a task's templates were rendered to into its database, and the text of what is not JSON. Masking
    alone would not keep a salt out of there: Airflow 3.0 masks in the API server, which does not know the secrets of
    tasks.

    :param text: the salt
    """

    text: str

    def __repr__(self) -> str:
        """Return ``***``, also as the text of the salt."""
        return "***"


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

    if isinstance(salt, Salt):
        salt = salt.text
    if isinstance(salt, str) and 0 < len(salt.strip()) < SHORTEST_SALT:
        msg = (
            f"hash_salt must have at least {SHORTEST_SALT} characters: Airflow does not mask short texts in logs, and "
            "short salts can be guessed."
        )
        raise refused(msg)
    return Privacy.of(table, _names("columns", columns), _names("hash", hashed), salt)


def hidden(salt: Any) -> Any:
    """
    Have Airflow mask a salt in logs, and return it as a :class:`Salt`.

    :param salt: the argument. A template, an upstream task and a value that will be refused are returned as they are
    """
    if not isinstance(salt, (str, int, float)) or "{{" in str(salt) or "{%" in str(salt):
        return salt
    from airflow_provider_helpcrunch._airflow import mask_secret

    mask_secret(str(salt))
    return Salt(salt) if isinstance(salt, str) and len(salt.strip()) >= SHORTEST_SALT else salt


def _names(argument: str, value: Any) -> Any:
    return None if value is None else items(argument, value)
