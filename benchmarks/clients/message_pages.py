"""Pages of messages that are made on request, in the client's own process: no server, no socket, nothing kept."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from requests.adapters import HTTPAdapter
from urllib3.response import HTTPResponse

if TYPE_CHECKING:
    import requests

FIRST_CHAT = 4_410_001
MESSAGES = 10
"""Messages of each chat."""

_MESSAGE = json.dumps(
    {
        "id": 0,
        "chat": 1,
        "from": "agent",
        "agent": {"id": 1001, "name": "Ada", "email": "ada@example.com", "role": "admin"},
        "type": "message",
        "text": "Thank you for the details. " * 6,
        "read": True,
        "edited": False,
        "createdAt": 1_760_000_000,
        "updatedAt": None,
        "broadcastType": None,
    }
)
_HEAD, _MIDDLE, _TAIL = (
    _MESSAGE.replace('"id": 0', '"id": |', 1).replace('"chat": 1', '"chat": |', 1).split("|")
)


def last_of(chat: int) -> int:
    """Return the id of the latest message of a chat."""
    return chat * MESSAGES + MESSAGES - 1


class MessagePages(HTTPAdapter):
    """Adapter for ``requests`` that answers ``GET /chats/ID/messages`` as HelpCrunch does, newest message first."""

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        """Answer a request."""
        address = urlsplit(str(request.url))
        query = parse_qs(address.query)
        offset, limit = int(query["offset"][0]), int(query["limit"][0])
        body = _page(int(address.path.split("/")[3]), offset, limit)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        raw = HTTPResponse(io.BytesIO(body), headers, 200, preload_content=False, request_method="GET")
        return self.build_response(request, raw)


def _page(chat: int, offset: int, limit: int) -> bytes:
    last = last_of(chat)
    numbers = range(last, last - MESSAGES, -1)[offset : offset + limit]
    rows = ", ".join(f"{_HEAD}{number}{_MIDDLE}{chat}{_TAIL}" for number in numbers)
    return f'{{"data": [{rows}], "total": {MESSAGES}}}'.encode()
