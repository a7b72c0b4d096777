"""Credentials: the API key and the API's address, checked before anything is sent."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from requests.utils import requote_uri

from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

DEFAULT_BASE_URL = "https://api.helpcrunch.com/v1"
_HOST = re.compile(r"(?!-)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.?|[0-9a-fA-F:]+(%\w+)?")


class ApiKey(str):
    """An API key whose ``repr``, which tracebacks with local variables print, does not show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show no key."""
        return "'***'"


def check_api_key(api_key: str) -> None:
    """
    Refuse a text that cannot be an API key.

    :param api_key: the key alone, without ``Bearer``
    :raises HelpCrunchConfigurationError: the key is empty, has spaces or angle brackets, or is not plain ASCII

    API: https://docs.helpcrunch.com/rest-api-v1/api-setup-v1
    """
    problem = None
    if not api_key:
        problem = "is empty"
    elif re.search(r"\s", api_key):
        problem = "has spaces, line breaks or the word Bearer in it"
    elif re.search(r"[<>]", api_key):
        problem = "has angle brackets around it"
    elif not (api_key.isascii() and api_key.isprintable()):
        problem = "has characters that no key has"
    if problem:
        msg = (
            f"The HelpCrunch API key {problem}. Paste the key alone, just as HelpCrunch shows it under "
            "Settings → Developers → Public API."
        )
        raise HelpCrunchConfigurationError(msg)


def check_base_url(base_url: str) -> str:
    """
    Return the API's address in its one canonical spelling; a bare host gets ``https://`` and ``/v1``.

    The address names the account's rate limiter, so two spellings of it must not become two limiters.

    :param base_url: the address, such as ``https://api.helpcrunch.com/v1``
    :return: the address in lower case up to the path, without default port, trailing dot and superfluous slashes
    :raises HelpCrunchConfigurationError: not an address of this kind, or plain ``http`` to another machine

    API: https://docs.helpcrunch.com/rest-api-v1/api-setup-v1
    """
    text = base_url.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host = parts.hostname or ""
        # With a slash or the colon forgotten, the scheme looks like a host, which would be sent the key.
        is_host = bool(_HOST.fullmatch(host)) and host not in ("http", "https")
        valid = is_host and (parts.port is None or parts.port > 0)
        if ":" in host:
            ipaddress.ip_address(host)
    except ValueError:
        valid = False
    if (
        not valid
        or parts.scheme not in ("https", "http")
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
    ):
        # Not the address itself: people put passwords into addresses.
        msg = f"The API URL must look like {DEFAULT_BASE_URL}, without user name, query or fragment."
        raise HelpCrunchConfigurationError(msg)
    if parts.scheme == "http" and not is_loopback(parts.geturl()):
        msg = "The API URL must begin with https://, or the key would travel unencrypted (http is only for 127.0.0.1)."
        raise HelpCrunchConfigurationError(msg)
    return f"{parts.scheme}://{_canonical_host(parts)}{_canonical_path(parts.path) or '/v1'}"


def _canonical_host(parts: SplitResult) -> str:
    host = (parts.hostname or "").removesuffix(".")  # urlsplit has made it lower case
    if ":" in host:
        host = f"[{ipaddress.ip_address(host).compressed}]"
    is_default = parts.port in (None, {"https": 443, "http": 80}[parts.scheme])
    return host if is_default else f"{host}:{parts.port}"


def _canonical_path(path: str) -> str:
    return re.sub("/+", "/", requote_uri(path)).rstrip("/")


def is_loopback(url: str) -> bool:
    """Return whether an address is one of this machine."""
    host = (urlsplit(url).hostname or "").removesuffix(".")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
