"""The words of chats: statuses in every spelling, ratings, and what the names of a chat's fields are inside."""

from __future__ import annotations

# In the order of the numbers that old search examples use for them: "1" is new, "7" is empty.
STATUSES = ("new", "opened", "pending", "onhold", "closed", "no communication", "empty")
SPELLINGS = {**{word: word for word in STATUSES}, "open": "opened", "on hold": "onhold", "on-hold": "onhold"}
"""Every documented spelling of a status, to the one of :data:`STATUSES`."""

NUMBERED = {str(number): word for number, word in enumerate(STATUSES, 1)}
OPEN = frozenset(STATUSES) - {"closed", "empty"}
RATINGS = ("perfect", "great", "average", "poor", "very poor")
FROM_API = "public_api"
ORIGINS = (*("customer_message",) * 6, "agent_message", "broadcast_reply", FROM_API)
