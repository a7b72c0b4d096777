"""Interview of an account: the requests of a check, all of which only read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_provider_helpcrunch.check.replies import Replies, Reply, moments
from airflow_provider_helpcrunch.client.cursor import LARGEST_PAGE
from airflow_provider_helpcrunch.client.retry import RetryPolicy
from airflow_provider_helpcrunch.exceptions import (
    HelpCrunchApiError,
    HelpCrunchBadRequestError,
    HelpCrunchBudgetStoreError,
    HelpCrunchConnectionError,
    HelpCrunchError,
    HelpCrunchRateLimitError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_helpcrunch.client import HelpCrunchClient
    from airflow_provider_helpcrunch.client.response import Response

MOST_REQUESTS = 20
"""Most HTTP requests that a check sends, those that are refused included."""

PATIENCE = 5.0
"""Seconds within which a request that is answered 429 may be repeated: time for two more attempts, as each pause is
twice the one before."""

MOST_ATTEMPTS = 3

RETRY = RetryPolicy(max_attempts=1, patience=PATIENCE)
"""The policy of a client for a check: what went wrong is an answer too, and retries would cost requests."""

LONGEST_WAIT = 180.0
"""Seconds that a check waits, in all, for other tasks to leave it some of the account's rate limit."""

OLDEST_FIRST = {"sort": "chats.createdAt", "order": "asc"}
BEHIND_ALL = 1_000_000_000
NO_CHAT = 2_147_483_647
"""An id far above any that was seen, which still fits into 32 bits."""

LIMIT_HEADERS = ("retry-after", "ratelimit", "x-ratelimit", "x-rate-limit")
USED_UP = "the account's rate limit was used up; check again when fewer requests are sent"


class Interview:
    """
    Asks one account, at most :data:`MOST_REQUESTS` times.

    :param client: the account's client, with :data:`RETRY` as its policy
    :param sleep: how to wait for the rate limit (``time.sleep``)
    """

    def __init__(self, client: HelpCrunchClient, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._sleep = sleep
        self._limit: int | None = LARGEST_PAGE
        self._waited = 0.0
        self._stopped = ""
        self._headers: set[str] = set()
        self._responses = 0
        self._refused = 0
        client.on_response(self._notice)

    def held(self) -> Replies:
        """
        Ask everything, and return the replies.

        :raises HelpCrunchError: the first request failed, so that there is nothing to check: the key is wrong, there is
            no HelpCrunch at this address, or no request is allowed
        """
        agents = self._first_page()
        newest = self._get("/chats")
        oldest = self._get("/chats", **OLDEST_FIRST, **self._page())
        before = _before(oldest)
        return Replies(
            limit=self._limit,
            agents=agents,
            departments=self._get("/departments", **self._page()),
            applications=self._get("/applications"),
            organization=self._get("/organization"),
            newest=newest,
            oldest=oldest,
            last=self._get("/chats", **OLDEST_FIRST, offset=max((oldest.total or 0) - 1, 1), **self._two()),
            beyond=self._get("/chats", **OLDEST_FIRST, offset=BEHIND_ALL, **self._two()),
            above=self._get("/chats", limit=LARGEST_PAGE + 1),
            closed=self._search_status("closed", before),
            numbered=self._search_status("5", before),
            before=before,
            nothing=self._search("chats", ("chats.createdAt", "<", 0)),
            updated=self._search("chats", ("chats.updatedAt", ">=", 0), page=self._two()),
            customers=self._get("/customers", sort="customers.firstSeen", order="asc", **self._page()),
            found_customers=self._search("customers", ("customers.id", ">", 0), page=self._two()),
            messages=self._messages(newest, oldest),
            missing=self._get(f"/chats/{NO_CHAT}"),
            headers=frozenset(self._headers),
            responses=self._responses,
            refused=self._refused,
        )

    def _page(self) -> dict[str, int]:
        return {} if self._limit is None else {"limit": self._limit}

    def _two(self) -> dict[str, int]:
        return {} if self._limit is None else {"limit": 2}

    def _first_page(self) -> Reply:
        """Ask for agents; where HelpCrunch refuses pages of 100, once more without naming a limit."""
        self._wait()
        try:
            return Reply(200, self._client.request("GET", "/agents", params={"limit": LARGEST_PAGE}))
        except HelpCrunchBadRequestError:
            self._limit = None
        return Reply(200, self._client.request("GET", "/agents"))

    def _get(self, path: str, **params: str | int) -> Reply:
        return self._ask("GET", path, params=params)

    def _search(
        self, resource: str, *conditions: tuple[str, str, Any], page: dict[str, int] | None = None
    ) -> Reply:
        body: dict[str, Any] = {
            "filter": [dict(zip(("field", "operator", "value"), each, strict=True)) for each in conditions],
            "comparison": "AND",
            **(OLDEST_FIRST if resource == "chats" else {"sort": "customers.firstSeen", "order": "asc"}),
            **(self._page() if page is None else page),
        }
        return self._ask("POST", f"/{resource}/search", json=body)

    def _search_status(self, word: str, before: int | None) -> Reply:
        if before is None:
            return Reply(problem="there is no chat to search for")
        return self._search("chats", ("chats.status", "=", word), ("chats.createdAt", "<", before))

    def _messages(self, *chats: Reply) -> Reply:
        for reply in chats:
            for chat in reply.records:
                if chat.get("lastMessageAt") is not None:
                    return self._get(f"/chats/{chat['id']}/messages", **self._page())
        return Reply(problem="no chat that was seen has a message")

    def _ask(self, method: str, path: str, **arguments: Any) -> Reply:
        if self._stopped:
            return Reply(problem=self._stopped)
        if self._client.usage.requests > MOST_REQUESTS - MOST_ATTEMPTS:
            return Reply(problem=f"a check sends {MOST_REQUESTS} requests at most")
        self._wait()
        try:
            return self._reply(method, path, arguments)
        except HelpCrunchRateLimitError:
            self._stopped = USED_UP
            return Reply(problem=USED_UP)

    def _reply(self, method: str, path: str, arguments: dict[str, Any]) -> Reply:
        try:
            return Reply(200, self._client.request(method, path, **arguments))
        except (HelpCrunchRateLimitError, HelpCrunchBudgetStoreError):
            raise
        except HelpCrunchApiError as error:
            if error.status_code is not None and 400 <= error.status_code < 500:
                return Reply(error.status_code, codes=tuple(detail.code for detail in error.errors))
            return Reply(problem=f"HelpCrunch answered {error.status_code}")
        except HelpCrunchConnectionError:
            return Reply(problem="there was no complete response")
        except HelpCrunchError:
            return Reply(problem="the response was not JSON, or reported an error")

    def _wait(self) -> None:
        """Wait until the account's rate limit leaves room: other tasks may be at work."""
        while (wait := self._client.budget_wait()) and self._waited + wait <= LONGEST_WAIT:
            self._waited += wait
            self._sleep(wait)

    def _notice(self, response: Response) -> None:
        self._responses += 1
        self._refused += response.status == 429
        names = (str(name).lower() for name in response.headers)
        self._headers.update(name for name in names if name.startswith(LIMIT_HEADERS))


def _before(oldest: Reply) -> int | None:
    """Return the time before which every chat is on the first page, in UNIX seconds."""
    created = moments(oldest.records, "createdAt")
    if not created or created != sorted(created) or len(created) < len(oldest.records):
        return None
    # Without the second of the last chat: one behind the page may share it.
    return int(created[-1].timestamp())
