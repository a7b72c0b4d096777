"""Webhooks: signatures against vectors of openssl, and bodies in every shape that they come in."""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_helpcrunch.client import webhooks
from airflow_provider_helpcrunch.client.webhooks import Webhook, parse, sign, verify
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchConfigurationError,
    HelpCrunchError,
    HelpCrunchSignatureError,
    HelpCrunchWebhookError,
)

ASSIGNED = (
    b'{"id":"0f7a0d0e-3c55-4b6e-9a51-2b1c7f0d9a11","event":"chat.assigned","attempts":0,"createdAt":1714557600,'
    b'"lastAttemptAt":1714557601,"eventData":{"chat_id":4410021,"status":"opened",'
    b'"customer":{"id":880012,"name":"Kim"}}}'
)
SIGNATURE = "e35128bec480a73fc0afa10b1b8aaf06763e7a3c"

# printf '%s' BODY | openssl dgst -sha1 -hmac KEY
VECTORS = [
    (ASSIGNED, "signing-key", SIGNATURE),
    (b"", "key", "f42bb0eeb018ebbd4597ae7213711ec60760843f"),
    (b"The quick brown fox jumps over the lazy dog", "key", "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9"),
    (
        '{"name": "Зоя", "x":"\\u0417"}\n'.encode(),
        "ключ",
        "c3c171349dcfc6b767816b0f8dc198fe3076c671",
    ),
]


class TestVerify:
    @pytest.mark.parametrize(("body", "key", "signature"), VECTORS)
    def test_what_was_signed(self, body: bytes, key: str, signature: str) -> None:
        assert sign(body, key) == signature
        verify(body, signature, key)
        verify(body, signature, f" {key}\n")

    @pytest.mark.parametrize(
        ("body", "signature", "key"),
        [
            (ASSIGNED + b" ", SIGNATURE, "signing-key"),
            (ASSIGNED.replace(b"opened", b"closed"), SIGNATURE, "signing-key"),
            (json.dumps(json.loads(ASSIGNED)).encode(), SIGNATURE, "signing-key"),
            (ASSIGNED, SIGNATURE, "another-key"),
            (ASSIGNED, SIGNATURE.upper(), "signing-key"),
            (ASSIGNED, SIGNATURE[:-1], "signing-key"),
            (ASSIGNED, SIGNATURE + "0", "signing-key"),
            (ASSIGNED, f"sha1={SIGNATURE}", "signing-key"),
            (ASSIGNED, "ß" * 40, "signing-key"),
            (ASSIGNED, "\udcff\ud800" * 20, "signing-key"),
        ],
    )
    def test_what_was_not(self, body: bytes, signature: str, key: str) -> None:
        with pytest.raises(HelpCrunchSignatureError, match="is not that of its body") as caught:
            verify(body, signature, key)
        assert sign(body, key) not in str(caught.value)
        assert key not in str(caught.value)

    @pytest.mark.parametrize("signature", [None, ""])
    def test_without_a_signature(self, signature: str | None) -> None:
        with pytest.raises(HelpCrunchSignatureError, match="has no X-HelpCrunch-Signature"):
            verify(ASSIGNED, signature, "signing-key")

    @pytest.mark.parametrize(
        ("body", "key", "said"),
        [
            (ASSIGNED.decode(), "signing-key", "body must be the bytes of the request as they came, not str"),
            (
                json.loads(ASSIGNED),
                "signing-key",
                "body must be the bytes of the request as they came, not dict",
            ),
            (ASSIGNED, "", "signing_key is empty"),
            (ASSIGNED, "  ", "signing_key is empty"),
            (ASSIGNED, None, "signing_key is empty"),
            (ASSIGNED, "\ud800", "signing_key holds half of a character"),
            (ASSIGNED, "signing-\udfff-key", "signing_key holds half of a character"),
            (ASSIGNED, b"signing-key", "signing_key must be a text, not bytes: decode it"),
        ],
    )
    def test_a_mistake_of_the_caller_is_no_wrong_signature(self, body: Any, key: Any, said: str) -> None:
        with pytest.raises(HelpCrunchConfigurationError, match=said):
            verify(body, SIGNATURE, key)

    @pytest.mark.parametrize("signature", [SIGNATURE.encode(), [SIGNATURE], b""])
    def test_a_header_that_is_not_decoded_is_a_mistake_of_the_caller(self, signature: Any) -> None:
        with pytest.raises(
            HelpCrunchConfigurationError, match="signature must be the text of the header X-HelpCrunch"
        ):
            verify(ASSIGNED, signature, "signing-key")

    def test_the_comparison_takes_constant_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        compared: list[tuple[bytes, bytes]] = []

        def compare(one: bytes, other: bytes) -> bool:
            compared.append((one, other))
            return hmac.compare_digest(one, other)

        class Noting:
            new = staticmethod(hmac.new)
            compare_digest = staticmethod(compare)

        monkeypatch.setattr(webhooks, "hmac", Noting)
        verify(ASSIGNED, SIGNATURE, "signing-key")
        assert compared == [(SIGNATURE.encode(), SIGNATURE.encode())]

    def test_all_errors_are_of_this_package(self) -> None:
        assert issubclass(HelpCrunchSignatureError, HelpCrunchWebhookError)
        assert issubclass(HelpCrunchWebhookError, HelpCrunchError)


def body(**changes: Any) -> bytes:
    return json.dumps({**json.loads(ASSIGNED), **changes}).encode()


class TestParse:
    def test_a_chat(self) -> None:
        webhook = parse(ASSIGNED)
        assert webhook == Webhook(
            "0f7a0d0e-3c55-4b6e-9a51-2b1c7f0d9a11",
            "chat.assigned",
            {"chat_id": 4410021, "status": "opened", "customer": {"id": 880012, "name": "Kim"}},
            0,
            datetime(2024, 5, 1, 10, 0, tzinfo=UTC),
        )
        assert (webhook.chat_id, webhook.customer_id) == (4410021, 880012)
        assert "Kim" not in repr(webhook)

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_every_body_that_can_be_verified_can_be_read(self, kind: Any) -> None:
        body = kind(b'{"id": "1", "event": "chat.new", "eventData": {"chat_id": 7}}')
        verify(body, sign(body, "key"), "key")
        assert parse(body).chat_id == 7

    @pytest.mark.parametrize("event", ["customer.new", "customer.tags_changed"])
    def test_a_customer(self, event: str) -> None:
        webhook = parse(body(event=event, eventData={"id": "880012", "customData": {}}))
        assert (webhook.chat_id, webhook.customer_id) == (None, 880012)

    def test_data_as_text_and_ids_as_text(self) -> None:
        data = {"chat_id": "4410021", "customer": {"id": "880012"}, "new": True}
        webhook = parse(body(eventData=json.dumps(data), attempts="2", createdAt="1714557600.5"))
        assert (webhook.data, webhook.attempts) == (data, 2)
        assert (webhook.chat_id, webhook.customer_id) == (4410021, 880012)
        assert webhook.created_at == datetime(2024, 5, 1, 10, 0, 0, 500_000, tzinfo=UTC)

    def test_what_may_be_missing(self) -> None:
        webhook = parse(b'{"id": "1", "event": "chat.of_the_future", "eventData": {"customer": null}}')
        assert (webhook.attempts, webhook.created_at) == (0, None)
        assert (webhook.chat_id, webhook.customer_id) == (None, None)

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (b"", "its body is not a JSON object"),
            (b"secret", "its body is not a JSON object"),
            (b"[]", "its body is not a JSON object"),
            (b"\xff{}", "its body is not a JSON object"),
            (b"[" * 100_000, "its body is not a JSON object"),
            (body(eventData="secret"), "its eventData is not a JSON object"),
            (body(eventData=None), "its eventData is not a JSON object"),
            (body(eventData=["secret"]), "its eventData is not a JSON object"),
            (body(id=None), "its id is not a text"),
            (body(event=7), "its event is not a text"),
        ],
    )
    def test_what_cannot_be_read(self, wrong: bytes, said: str) -> None:
        with pytest.raises(HelpCrunchWebhookError, match=said) as caught:
            parse(wrong)
        assert "secret" not in str(caught.value)
        assert caught.value.__context__ is None
