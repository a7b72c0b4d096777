"""Remote paths, with a filesystem from an Airflow provider."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError, HelpCrunchStorageError
from airflow_provider_helpcrunch.storage.path_text import EXTRAS

if TYPE_CHECKING:
    from airflow_provider_helpcrunch._airflow import ObjectStoragePath


def airflow_path(url: str) -> ObjectStoragePath:
    """
    Return a URL as Airflow's path.

    :param url: the URL, with its connection id
    :raises HelpCrunchConfigurationError: Airflow's paths do not work here, or not with this URL
    """
    try:
        from airflow_provider_helpcrunch._airflow import ObjectStoragePath

        # With a version of universal-pathlib that does not fit, the import works and the first object fails.
        ObjectStoragePath("file:///")
    except (ImportError, TypeError, AttributeError, ValueError) as exc:
        raise HelpCrunchConfigurationError(_why_no_paths(exc)) from exc
    try:
        return ObjectStoragePath(url)
    except ValueError as exc:
        raise HelpCrunchConfigurationError(_why_not_attached(url, exc)) from exc


def attached(path: str | ObjectStoragePath) -> ObjectStoragePath:
    """
    Return a path with its filesystem set up. This needs the Airflow connection but sends nothing to the storage.

    :param path: a URL, or an ``ObjectStoragePath``
    :raises HelpCrunchConfigurationError: no filesystem is installed for it, its connection cannot be used, or Airflow's
        paths do not work here
    :raises HelpCrunchStorageError: the filesystem is installed but could not be set up
    """
    made = airflow_path(path) if isinstance(path, str) else path
    from airflow_provider_helpcrunch._airflow import AirflowNotFoundException

    try:
        _ = made.fs
    except (ImportError, ValueError, AirflowNotFoundException) as exc:
        raise HelpCrunchConfigurationError(_why_not_attached(str(path), exc)) from exc
    # Each provider has further exceptions of its own.
    except Exception as exc:
        msg = f"The filesystem of {str(path)!r} could not be set up: {type(exc).__name__}: {exc}"
        raise HelpCrunchStorageError(msg) from exc
    if not made.path.partition("/")[2]:
        msg = f"{str(path)!r} names a bucket but no object in it: add a file name."
        raise HelpCrunchConfigurationError(msg)
    return made


def _why_no_paths(exc: Exception) -> str:
    airflow, found = (
        (_version("apache-airflow-core") or _version("apache-airflow")),
        _version("universal-pathlib"),
    )
    # Airflow 3.2 moved to universal-pathlib 0.3. Earlier versions allow it in their metadata, but do not work with it.
    old = airflow is not None and tuple(map(int, airflow.split(".")[:2])) < (3, 2)
    fitting = "universal-pathlib<0.3" if old else "universal-pathlib>=0.3.8"
    return (
        f"universal-pathlib {found or '(not installed)'} does not work with Airflow {airflow}, so only local paths can "
        f"be used: pip install '{fitting}' ({type(exc).__name__}: {exc})"
    )


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _why_not_attached(text: str, exc: Exception) -> str:
    scheme = text.partition("://")[0]
    if not isinstance(exc, ImportError) and "filesystem" not in str(exc):
        return f"The connection of {text!r} cannot be used: {exc}"
    if scheme in EXTRAS:
        return f"{scheme}://… needs: pip install 'airflow-provider-helpcrunch[{EXTRAS[scheme]}]' ({exc})"
    return f"No installed Airflow provider brings a filesystem for {scheme}://… ({exc})"
