"""Addresses of chats in HelpCrunch's own user interface: right, or none at all."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBudgetStoreError,
    HelpCrunchError,
    HelpCrunchRateLimitError,
)

if TYPE_CHECKING:
    from airflow_provider_helpcrunch.client.client import HelpCrunchClient

log = logging.getLogger(__name__)

SERVICE = "helpcrunch.com"

# A number alone is rather an id than a name, and any other host may be the company's own website.
_INBOX = re.compile(
    rf"(?P<label>(?=[a-z0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]{{0,61}}[a-z0-9])?)(?:\.{re.escape(SERVICE)}\.?)?"
)


def inbox_host(domain: Any) -> str | None:
    """
    Return the host of an account's inbox, such as ``shop.helpcrunch.com``.

    No record has the address of its chat. That the ``domain`` of ``GET /organization`` is the account's place in it is
    a deduction, so only a domain that looks like one is used.

    :param domain: the account's domain: ``shop`` or ``shop.helpcrunch.com``, in any case
    :return: the host; ``None`` for anything else

    API: https://docs.helpcrunch.com/rest-api-v1/get-organization-v1
    """
    found = _INBOX.fullmatch(domain.lower()) if isinstance(domain, str) and domain.isascii() else None
    return f"{found['label']}.{SERVICE}" if found else None


def chat_address(domain: Any, chat_id: int | str) -> str | None:
    """
    Return the address of a chat in HelpCrunch's inbox, for a browser.

    :param domain: the account's domain, as for :func:`inbox_host`; ``None``: not known
    :param chat_id: the chat, or what stands for one in a text
    :return: such as ``https://shop.helpcrunch.com/inbox/chats/4410021``; ``None`` where the domain names no inbox
    """
    host = inbox_host(domain)
    return f"https://{host}/inbox/chats/{chat_id}" if host else None


def inbox_of(client: HelpCrunchClient) -> str | None:
    """
    Return the host of an account's inbox: as the connection states it, else as the account itself says.

    An address is a comfort: that it cannot be found out is logged, and never an error.

    :param client: the account. One request (``GET /organization``); none if the client has an ``inbox_domain``
    :return: the host, for :func:`chat_address`; ``None`` where it is not known
    :raises HelpCrunchRateLimitError: no request is allowed
    :raises HelpCrunchBudgetStoreError: the store that counts requests cannot be used
    """
    if client.inbox_domain is not None:
        return inbox_host(client.inbox_domain)
    try:
        return inbox_host(client.get_organization().get("domain"))
    except (HelpCrunchRateLimitError, HelpCrunchBudgetStoreError):
        raise
    except HelpCrunchError as error:
        log.warning("The account's domain could not be read, so chats have no addresses: %s", error)
        return None
