"""What may go wrong with one chat without stopping the others."""

from __future__ import annotations

from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchBadRequestError,
    HelpCrunchConnectionError,
    HelpCrunchNotFoundError,
    HelpCrunchResponseError,
    HelpCrunchServerError,
    HelpCrunchUnconfirmedError,
)

REFUSALS = (HelpCrunchBadRequestError, HelpCrunchNotFoundError)
"""HelpCrunch will not change this chat so."""

FAULTS = (
    HelpCrunchConnectionError,
    HelpCrunchResponseError,
    HelpCrunchServerError,
    HelpCrunchUnconfirmedError,
)
"""There was no usable answer, even after all retries."""

MOST_FAULTS = 3
"""Chats in a row that may meet a fault; then the service is taken to be down."""
