"""Options of a sandbox: the one table that arguments, flags and documentation take them from."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

from airflow_provider_helpcrunch.sandbox.clock import Now, milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable

TotalStyle: TypeAlias = Literal["exact", "missing", "zero", "string", "low", "high", "root"]
Total: TypeAlias = TotalStyle | int
Errors: TypeAlias = Literal["new", "old"]
SearchTotal: TypeAlias = Literal["root", "meta"]
OnHold: TypeAlias = Literal["onhold", "on hold", "on-hold"]
Timestamps: TypeAlias = Literal["string", "integer", "fractional"]
Fields: TypeAlias = Literal["new", "old"]
Ok: TypeAlias = Literal["json", "text"]
CustomData: TypeAlias = Literal["object", "array"]

TOTAL_STYLES: tuple[str, ...] = get_args(TotalStyle)
HIGHEST_PORT = 65535


class Option(NamedTuple):
    """
    One option.

    :param metavar: its value on a command line; empty for a flag without one
    :param text: its effect, in Markdown
    :param parse: reads a value of a command line
    :param least: the least number that is accepted
    :param choices: the values that are accepted; none: any
    :param note: words of ``docs/sandbox.md`` in place of the default
    """

    metavar: str
    text: str
    parse: Callable[[str], Any] = str
    least: int | None = None
    choices: tuple[str | int, ...] = ()
    note: str = ""

    def check(self, name: str, value: Any) -> None:
        """
        Refuse a value that no sandbox can have.

        :raises ValueError: it is out of range, or not among the choices
        """
        if self.least is not None and value is not None and value < self.least:
            message = f"{name} must be at least {self.least}, not {value}"
            raise ValueError(message)
        if self.choices and value not in self.choices:
            message = f"{name} must be one of {', '.join(map(str, self.choices))}, not {value!r}"
            raise ValueError(message)


def _limit(text: str) -> int | None:
    return None if text == "none" else int(text)


def _total(text: str) -> Any:
    return text if text in TOTAL_STYLES else int(text)


def _now(text: str) -> str:
    milliseconds(text)
    return text


def _about(metavar: str, text: str, *details: Any, **named: Any) -> dict[str, Option]:
    """Return the metadata of a field that is an option; arguments as for :class:`Option`."""
    return {"option": Option(metavar, text, *details, **named)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    The switches of a sandbox.

    ``shuffle``, ``ignore_filter`` and ``ignore_write`` are no options of the sandbox: the faults of these names
    set them for one request.

    :raises ValueError: a value is out of its range
    """

    port: int = field(
        default=0,
        metadata=_about(
            "PORT", "port on 127.0.0.1, `0` for a free one", int, 0, note="`8765` (in Python `0`)"
        ),
    )
    agents: int = field(default=250, metadata=_about("N", "agents the account starts with", int, 0))
    departments: int = field(default=5, metadata=_about("N", "departments it has", int, 0))
    chats: int = field(default=300, metadata=_about("N", "chats the account starts with", int, 0))
    messages: int = field(
        default=8,
        metadata=_about(
            "N", "messages of a chat on average; one chat in a hundred has 20 times as many", int, 1
        ),
    )
    canary: str = field(
        default="",
        metadata=_about(
            "TEXT",
            "a string in every field with a person's data: of customers, agents, messages and chats",
            note="none",
        ),
    )
    domain: str = field(
        default="shop.example",
        metadata=_about(
            "TEXT", "`domain` of the organization: `shop` names an inbox at helpcrunch.com, the default none"
        ),
    )
    key: str = field(default="sandbox-key", metadata=_about("KEY", "API key; anything else is answered 401"))
    seed: int = field(
        default=1, metadata=_about("N", "the same seed and the same `--now` give the same account", int)
    )
    now: Now | None = field(
        default=None,
        metadata=_about(
            "TIME",
            "the moment its chats lead up to: ISO 8601 or UNIX seconds (in Python also a `datetime`), in UTC without "
            "an offset",
            _now,
            note="the current time",
        ),
    )
    rate_limit: int | None = field(
        default=120,
        metadata=_about(
            "N|none", "requests accepted in any rolling window; more are answered 429", _limit, 1
        ),
    )
    window: float = field(default=60.0, metadata=_about("SECONDS", "length of that window", float, 0))
    retry_after: bool = field(default=False, metadata=_about("", "send `Retry-After` with such a 429"))
    latency: float = field(default=0.0, metadata=_about("SECONDS", "delay of each response", float, 0))
    page_cap: int = field(
        default=100,
        metadata=_about("ROWS", "most rows a page ever has, whatever `limit` was accepted", int, 1),
    )
    max_limit: int = field(default=100, metadata=_about("ROWS", "a greater `limit` is answered 400", int, 1))
    total: Total = field(
        default="exact",
        metadata=_about(
            "STYLE|N",
            "the total of a list: `exact`, `missing` (no `meta`), `zero`, `string`, `low` (half), `high` (one and a "
            "half), `root` (beside `data`), or a number to add to it",
            _total,
        ),
    )
    ignore_offset: bool = field(default=False, metadata=_about("", "every page is the first one"))
    errors: Errors = field(
        default="new",
        metadata=_about(
            "new|old", "error bodies of HelpCrunch's new or old documentation", choices=get_args(Errors)
        ),
    )
    search_total: SearchTotal = field(
        default="root",
        metadata=_about(
            "root|meta",
            "where a search of chats has its total; a `--total` of `root` overrules `meta` here",
            choices=get_args(SearchTotal),
        ),
    )
    on_hold: OnHold = field(
        default="onhold",
        metadata=_about(
            "WORDS",
            "how responses spell this status: `onhold`, `on hold` or `on-hold`; requests may use any",
            choices=get_args(OnHold),
        ),
    )
    timestamps: Timestamps = field(
        default="string",
        metadata=_about(
            "STYLE",
            "times: `string` (digits; `closedAt` and `createdAt` of messages with a fraction), `integer` or "
            "`fractional` (all with a fraction)",
            choices=get_args(Timestamps),
        ),
    )
    shape: Fields = field(
        default="new",
        metadata=_about(
            "new|old",
            "`old`: chats without `createdWith`, `applicationId`, `readByAgent` and `readByCustomer`, customers "
            "without `createdFrom` and `integrationId`, messages whose agent has `id` and `name` alone, events with "
            "`customer`",
            choices=get_args(Fields),
        ),
    )
    custom_data: CustomData = field(
        default="object",
        metadata=_about(
            "object|array",
            "`customData` of customers in responses: an object, or an array of `property` and `value`",
            choices=get_args(CustomData),
        ),
    )
    ok: Ok = field(
        default="json",
        metadata=_about("json|text", "the response `Ok`: a JSON string or plain text", choices=get_args(Ok)),
    )
    message_status: int = field(
        default=200, metadata=_about("STATUS", "success of `POST /v1/messages`", int, choices=(200, 201))
    )
    chat_status: int = field(
        default=201, metadata=_about("STATUS", "success of `POST /v1/chats`", int, choices=(200, 201))
    )
    tech_messages: bool = field(
        default=False,
        metadata=_about("", "an update of a chat's status or assignee adds a `tech` message"),
    )
    keep_chats: bool = field(
        default=False, metadata=_about("", "the chats of a deleted customer stay, instead of going too")
    )
    updated_at: bool = field(
        default=False,
        metadata=_about("", "a search may filter by `chats.updatedAt`, instead of getting a 400"),
    )
    shuffle: bool = False
    ignore_filter: bool = False
    ignore_write: bool = False

    def __post_init__(self) -> None:
        """Refuse what no sandbox can do."""
        for name, option in OPTIONS.items():
            option.check(name, getattr(self, name))
        if self.now is not None:
            milliseconds(self.now)
        if self.port > HIGHEST_PORT:
            message = f"port must be at most {HIGHEST_PORT}, not {self.port}"
            raise ValueError(message)
        if not isinstance(self.total, int) and self.total not in TOTAL_STYLES:
            message = f"total must be an integer or one of {', '.join(TOTAL_STYLES)}, not {self.total!r}"
            raise ValueError(message)


OPTIONS: dict[str, Option] = {
    each.name: each.metadata["option"] for each in fields(Settings) if "option" in each.metadata
}
DEFAULTS: dict[str, Any] = {each.name: each.default for each in fields(Settings) if each.name in OPTIONS}
