"""
Webhooks: requests that HelpCrunch sends to an address of yours when something happens, checked and read.

::

    verify(body, request.headers.get(SIGNATURE_HEADER), signing_key)   # the raw body, before anything is read of it
    webhook = parse(body)
    print(webhook.event, webhook.chat_id)

A signature says who wrote a webhook, not when, and HelpCrunch may send one more than once: whoever acts on it does so
once for each ``id``.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_helpcrunch.client.ids import id_of, number_from
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchSignatureError,
    HelpCrunchWebhookError,
)
from airflow_provider_helpcrunch.unix_time import parse_timestamp

if TYPE_CHECKING:
    from datetime import datetime

Body: TypeAlias = bytes | bytearray | memoryview
"""The body of a request, as it came."""

SIGNATURE_HEADER = "X-HelpCrunch-Signature"
"""The header with the signature; names of headers have no upper or lower case."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """
    Something that happened in the account.

    :param id: HelpCrunch's id of this webhook, the same each time that it is sent
    :param event: what happened, such as ``chat.new`` or ``message.chat.customer``
    :param data: what it happened to, as HelpCrunch describes it in ``eventData``
    :param attempts: how often it was sent before
    :param created_at: when it happened, in UTC; ``None`` if that is missing or unreadable
    """

    id: str
    event: str
    # No repr: it is personal data.
    data: dict[str, Any] = field(repr=False)
    attempts: int = 0
    created_at: datetime | None = None

    @property
    def chat_id(self) -> int | None:
        """Id of the chat; ``None`` if the event is not about one."""
        return number_from(self.data.get("chat_id"))

    @property
    def customer_id(self) -> int | None:
        """Id of the customer; ``None`` if none is named."""
        return id_of(self.data if self.event.startswith("customer.") else self.data.get("customer"))


def sign(body: Body, signing_key: str) -> str:
    """
    Return the signature of a webhook, as HelpCrunch makes it; for tests of your own.

    :param body: the raw body
    :param signing_key: the key of *Settings → Developers → Webhooks*
    :return: 40 hexadecimal digits in small letters: the HMAC-SHA1 of the body
    :raises HelpCrunchConfigurationError: the body is not bytes, or the key is empty, not a text or cut in a character

    API: https://docs.helpcrunch.com/webhooks/how-to-verify-help-crunch-webhook-signatures
    """
    _check(body, signing_key)
    return hmac.new(signing_key.strip().encode(), body, "sha1").hexdigest()


def verify(body: Body, signature: str | None, signing_key: str) -> None:
    """
    Refuse a webhook that HelpCrunch did not sign. The comparison takes the same time wherever two signatures differ.

    :param body: the raw body of the request, before it is decoded or parsed
    :param signature: the header ``X-HelpCrunch-Signature``; ``None`` if there is none
    :param signing_key: the key of *Settings → Developers → Webhooks*
    :raises HelpCrunchSignatureError: there is no signature, or it is not that of this body
    :raises HelpCrunchConfigurationError: the body is not bytes, the signature is not a text, or the key is empty, not
        a text or cut in a character

    API: https://docs.helpcrunch.com/webhooks/how-to-verify-help-crunch-webhook-signatures
    """
    expected = sign(body, signing_key)
    _check_header(signature)
    if not signature:
        msg = f"The webhook has no {SIGNATURE_HEADER}: HelpCrunch did not send it, or something on the way removed it."
        raise HelpCrunchSignatureError(msg)
    # As bytes, because compare_digest refuses texts that are not ASCII.
    if not hmac.compare_digest(expected.encode(), signature.encode(errors="backslashreplace")):
        msg = (
            f"The {SIGNATURE_HEADER} of the webhook is not that of its body: HelpCrunch did not send it, the signing "
            "key is another account's, or something on the way changed the body."
        )
        raise HelpCrunchSignatureError(msg)


def parse(body: Body) -> Webhook:
    """
    Read a webhook that was verified.

    ``eventData`` may be an object or the JSON text of one, ids may be numbers or texts, and fields that this package
    does not know are in ``data``.

    :param body: the raw body
    :return: the webhook
    :raises HelpCrunchWebhookError: it is not JSON, or lacks what every webhook has

    API: https://docs.helpcrunch.com/webhooks/setting-up-webhooks
    """
    envelope = _object(body, "its body")
    data = envelope.get("eventData")
    webhook_id, event = (_text(envelope, name) for name in ("id", "event"))
    return Webhook(
        webhook_id,
        event,
        data if isinstance(data, dict) else _object(data, "its eventData"),
        number_from(envelope.get("attempts")) or 0,
        parse_timestamp(envelope.get("createdAt")),
    )


def _check(body: object, signing_key: object) -> None:
    if not isinstance(body, Body):
        msg = (
            f"body must be the bytes of the request as they came, not {type(body).__name__}: what was decoded may be "
            "written in another way."
        )
        raise HelpCrunchConfigurationError(msg)
    if signing_key is not None and not isinstance(signing_key, str):
        msg = f"signing_key must be a text, not {type(signing_key).__name__}: decode it."
        raise HelpCrunchConfigurationError(msg)
    if not signing_key or not signing_key.strip():
        msg = "signing_key is empty: copy it from Settings → Developers → Webhooks in HelpCrunch."
        raise HelpCrunchConfigurationError(msg)
    if any("\ud800" <= letter <= "\udfff" for letter in signing_key):
        msg = "signing_key holds half of a character: copy it from Settings → Developers → Webhooks in HelpCrunch."
        raise HelpCrunchConfigurationError(msg)


def _check_header(signature: object) -> None:
    if signature is not None and not isinstance(signature, str):
        msg = f"signature must be the text of the header {SIGNATURE_HEADER}, not {type(signature).__name__}: decode it."
        raise HelpCrunchConfigurationError(msg)


def _object(text: Any, what: str) -> dict[str, Any]:
    found = None
    if isinstance(text, str | Body):
        try:
            found = json.loads(bytes(text) if isinstance(text, memoryview) else text)
        except (ValueError, RecursionError):
            found = None
    # Outside of the handler: the error of the parser would be chained, and it quotes the text.
    if not isinstance(found, dict):
        msg = f"The webhook cannot be read: {what} is not a JSON object."
        raise HelpCrunchWebhookError(msg)
    return found


def _text(envelope: dict[str, Any], name: str) -> str:
    value = envelope.get(name)
    if not isinstance(value, str) or not value:
        msg = f"The webhook cannot be read: its {name} is not a text."
        raise HelpCrunchWebhookError(msg)
    return value
