"""How a sandbox behaves: one value, checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from airflow_provider_helpcrunch.sandbox.clock import Now, milliseconds

TotalStyle: TypeAlias = Literal["exact", "missing", "zero", "string", "low", "high", "root"]
Total: TypeAlias = TotalStyle | int
Errors: TypeAlias = Literal["new", "old"]
SearchTotal: TypeAlias = Literal["root", "meta"]
OnHold: TypeAlias = Literal["onhold", "on hold", "on-hold"]
Timestamps: TypeAlias = Literal["string", "integer", "fractional"]
ChatFields: TypeAlias = Literal["new", "old"]

TOTAL_STYLES: tuple[str, ...] = get_args(TotalStyle)
HIGHEST_PORT = 65535
_CHOICES: dict[str, tuple[str, ...]] = {
    "errors": get_args(Errors),
    "search_total": get_args(SearchTotal),
    "on_hold": get_args(OnHold),
    "timestamps": get_args(Timestamps),
    "chat_shape": get_args(ChatFields),
}
_LEAST = {
    **dict.fromkeys(("agents", "departments", "chats", "port", "window", "latency"), 0),
    **dict.fromkeys(("rate_limit", "page_cap", "max_limit"), 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    The switches of a sandbox; :class:`~airflow_provider_helpcrunch.sandbox.Sandbox` documents them.

    ``shuffle``, ``ignore_filter`` and ``ignore_write`` are no switches of the sandbox: the faults of these names
    set them for one request.

    :raises ValueError: a value is out of its range
    """

    agents: int = 250
    departments: int = 5
    chats: int = 300
    key: str = "sandbox-key"
    port: int = 0
    seed: int = 1
    now: Now | None = None
    rate_limit: int | None = 120
    window: float = 60.0
    retry_after: bool = False
    latency: float = 0.0
    page_cap: int = 100
    max_limit: int = 100
    total: Total = "exact"
    ignore_offset: bool = False
    errors: Errors = "new"
    search_total: SearchTotal = "root"
    on_hold: OnHold = "onhold"
    timestamps: Timestamps = "string"
    chat_shape: ChatFields = "new"
    updated_at: bool = False
    shuffle: bool = False
    ignore_filter: bool = False
    ignore_write: bool = False

    def __post_init__(self) -> None:
        """Refuse what no sandbox can do."""
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                message = f"{name} must be at least {least}, not {value}"
                raise ValueError(message)
        if self.now is not None:
            milliseconds(self.now)
        if self.port > HIGHEST_PORT:
            message = f"port must be at most {HIGHEST_PORT}, not {self.port}"
            raise ValueError(message)
        if not isinstance(self.total, int) and self.total not in TOTAL_STYLES:
            message = f"total must be an integer or one of {', '.join(TOTAL_STYLES)}, not {self.total!r}"
            raise ValueError(message)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                message = f"{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}"
                raise ValueError(message)
