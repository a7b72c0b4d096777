"""Body of a new message, checked before it is sent."""

from __future__ import annotations

from typing import Any

from airflow_provider_helpcrunch.client.ids import check_id
from airflow_provider_helpcrunch.exceptions import HelpCrunchConfigurationError
from airflow_provider_helpcrunch.plurals import quoted


def message_body(
    chat_id: int, text: str, *, agent: int | None, private: bool, markdown_text: str | None
) -> dict[str, Any]:
    """
    Return the body of a new message.

    :param chat_id: the chat
    :param text: the plain text
    :param agent: id of the author; ``None``: the customer, or nobody for a private note
    :param private: whether it is a private note
    :param markdown_text: the text in Markdown; ``None``: none
    :raises HelpCrunchConfigurationError: an id is wrong, or a text is empty
    """
    body: dict[str, Any] = {
        "chat": check_id("chat_id", chat_id),
        "text": _check_text("text", text),
        "type": "private" if private else "message",
    }
    if agent is not None:
        body["agent"] = check_id("agent", agent)
    if markdown_text is not None:
        body["markdownText"] = _check_text("markdown_text", markdown_text)
    return body


def _check_text(name: str, text: Any) -> str:
    if not isinstance(text, str) or not text.strip():
        msg = f"{name} must be a text that is not empty, not {quoted(text)}."
        raise HelpCrunchConfigurationError(msg)
    return text
