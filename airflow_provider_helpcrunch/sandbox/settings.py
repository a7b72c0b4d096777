"""How a sandbox behaves: one value, checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

TotalStyle: TypeAlias = Literal["exact", "missing", "zero", "string", "low", "high", "root"]
Total: TypeAlias = TotalStyle | int
Errors: TypeAlias = Literal["new", "old"]

TOTAL_STYLES: tuple[str, ...] = get_args(TotalStyle)
HIGHEST_PORT = 65535
_LEAST = {
    **dict.fromkeys(("agents", "departments", "port", "window", "latency"), 0),
    **dict.fromkeys(("rate_limit", "page_cap", "max_limit"), 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    The switches of a sandbox; :class:`~airflow_provider_helpcrunch.sandbox.Sandbox` documents them.

    ``shuffle`` is no switch of the sandbox: the fault of that name sets it for one request.

    :raises ValueError: a value is out of its range
    """

    agents: int = 250
    departments: int = 5
    key: str = "sandbox-key"
    port: int = 0
    seed: int = 1
    rate_limit: int | None = 120
    window: float = 60.0
    retry_after: bool = False
    latency: float = 0.0
    page_cap: int = 100
    max_limit: int = 100
    total: Total = "exact"
    ignore_offset: bool = False
    errors: Errors = "new"
    shuffle: bool = False

    def __post_init__(self) -> None:
        """Refuse what no sandbox can do."""
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                message = f"{name} must be at least {least}, not {value}"
                raise ValueError(message)
        if self.port > HIGHEST_PORT:
            message = f"port must be at most {HIGHEST_PORT}, not {self.port}"
            raise ValueError(message)
        if not isinstance(self.total, int) and self.total not in TOTAL_STYLES:
            message = f"total must be an integer or one of {', '.join(TOTAL_STYLES)}, not {self.total!r}"
            raise ValueError(message)
        if self.errors not in get_args(Errors):
            message = f"errors must be one of {', '.join(get_args(Errors))}, not {self.errors!r}"
            raise ValueError(message)
