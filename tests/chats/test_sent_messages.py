"""A text that was sent is recognized in every form in which HelpCrunch may store it."""

from __future__ import annotations

import html
from collections.abc import Callable

import pytest

from airflow_provider_helpcrunch.chats.sent_messages import digest_of


@pytest.mark.parametrize(
    "stored",
    [str, html.escape, lambda text: f"<p>{html.escape(text)}</p>"],
    ids=["as it is", "entities", "markup"],
)
@pytest.mark.parametrize(
    "sent",
    [
        "Tom & Jerry",
        "5 > 3",
        "<3 thanks",
        "if x < 5 and y > 3, call us",
        "See <https://shop.example/x>.",
        "Order <4711> has arrived",
        "Hi <b>Kim</b>",
        "\N{THUMBS UP SIGN}",
    ],
)
def test_words_in_every_form(sent: str, stored: Callable[[str], str]) -> None:
    assert digest_of(stored(sent)) == digest_of(sent)


def test_other_words() -> None:
    assert digest_of("See <https://shop.example/1>") != digest_of("See <https://shop.example/2>")
    assert digest_of("Write to <kim@shop.example>") != digest_of("Write to <lee@shop.example>")
    assert digest_of("Order <4711> has arrived") != digest_of("Order <4712> has arrived")
