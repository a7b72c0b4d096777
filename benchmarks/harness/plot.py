"""Requests over time as an SVG: how many there were in the last 60 s, and below it a lane for each worker."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from harness.demand import worker_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_helpcrunch.sandbox.journal import Request

WIDTH, HEIGHT = 960, 600
LEFT, RIGHT = 92, 850
COUNT_TOP, COUNT_BOTTOM = 118, 298
LANES_TOP, LANES_BOTTOM = 334, 534
WINDOW = 60.0
REFUSED = 429
TICK = 30
"""Seconds between two marks on the axis of time."""

INK, FAINT, LIMIT_INK, REFUSED_INK = "#1f2933", "#dde3ea", "#c1121f", "#c1121f"
LANE_INKS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7a5195", "#52606d")
STYLE = f"""
text {{ font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: {INK} }}
.title {{ font-size: 19px; font-weight: 600 }}
.faint {{ fill: #52606d }}
.end {{ text-anchor: end }}
.middle {{ text-anchor: middle }}
.limit {{ fill: {LIMIT_INK} }}
path {{ fill: none }}
.grid {{ stroke: {FAINT} }}
.area {{ fill: #0072b2; fill-opacity: 0.07 }}
.dot {{ stroke-width: 6.4; stroke-linecap: round }}
"""


class Plot:
    """
    One drawing.

    :param requests: in order of arrival
    :param workers: how many lanes
    :param seconds: length of the axis of time
    :param limit: requests in any rolling 60 s
    """

    def __init__(self, requests: Sequence[Request], workers: int, seconds: float, limit: int) -> None:
        self._requests = [request for request in requests if request.at <= seconds]
        self._workers = workers
        self._seconds = seconds
        self._limit = limit
        self._most = limit * 1.15

    def svg(self, title: str, subtitle: str) -> str:
        """Return the whole file; its background is white, so that it is readable on any page."""
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{title}</title>\n<desc>{subtitle}</desc>\n<style>{STYLE}</style>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            _text(24, 36, title, "title"),
            _text(24, 60, subtitle, "faint"),
            *self._legend(),
            *self._axes(),
            *self._count(),
            *self._lanes(),
        ]
        return "\n".join([*parts, "</svg>\n"])

    def _legend(self) -> Iterable[str]:
        y = 88
        yield f'<path d="M24 {y}h28" stroke="{INK}" stroke-width="1.8"/>'
        yield _text(60, y + 4, "requests in the last 60 s")
        yield f'<path d="M242 {y}h28" stroke="{LIMIT_INK}" stroke-width="1.5" stroke-dasharray="6 4"/>'
        yield _text(278, y + 4, f"the account's limit, {self._limit}")
        for number, ink in enumerate(LANE_INKS[:3]):
            yield _dots([f"M{470 + 10 * number} {y}h.01"], ink)
        yield _text(502, y + 4, "one request, in the lane of its worker")
        if any(request.status == REFUSED for request in self._requests):
            yield _dots([f"M766 {y}h.01"], REFUSED_INK)
            yield _text(778, y + 4, "refused (429)")

    def _axes(self) -> Iterable[str]:
        for second in range(0, int(self._seconds) + 1, TICK):
            x = self._x(second)
            yield f'<path class="grid" d="M{x} {COUNT_TOP}V{COUNT_BOTTOM}M{x} {LANES_TOP}V{LANES_BOTTOM}"/>'
            yield _text(x, LANES_BOTTOM + 20, str(second), "middle")
        for count in range(0, self._limit + 1, self._limit // 4):
            y = self._y(count)
            yield f'<path class="grid" d="M{LEFT} {y}H{RIGHT}"/>'
            yield _text(LEFT - 10, y + 4, str(count), "end")
        middle = (COUNT_TOP + COUNT_BOTTOM) / 2
        turned = f'transform="rotate(-90 34 {middle})"'
        yield f'<text x="34" y="{middle}" class="middle" {turned}>requests in the last 60 s</text>'
        yield _text((LEFT + RIGHT) / 2, LANES_BOTTOM + 46, "seconds from the first request", "middle")

    def _count(self) -> Iterable[str]:
        """Draw the steps: up when a request arrives, down 60 s later."""
        at = [request.at for request in self._requests if request.status != REFUSED]
        changes = sorted([(each, 1) for each in at] + [(each + WINDOW, -1) for each in at])
        counts = accumulate(step for _, step in changes)
        steps = [
            f"H{self._x(when)}V{self._y(count)}"
            for (when, _), count in zip(changes, counts, strict=True)
            if when <= self._seconds
        ]
        path = "".join([f"M{LEFT} {self._y(0)}", *steps, f"H{RIGHT}"])
        yield f'<path class="area" d="{path}V{self._y(0)}Z"/>'
        yield f'<path d="{path}" stroke="{INK}" stroke-width="1.8" stroke-linejoin="round"/>'
        y = self._y(self._limit)
        yield f'<path d="M{LEFT} {y}H{RIGHT}" stroke="{LIMIT_INK}" stroke-width="1.5" stroke-dasharray="6 4"/>'
        yield _text(RIGHT + 10, y + 4, f"limit {self._limit}", "limit")

    def _lanes(self) -> Iterable[str]:
        height = (LANES_BOTTOM - LANES_TOP) / self._workers
        for worker in range(self._workers):
            y = round(LANES_TOP + height * (worker + 0.5), 1)
            mine = [request for request in self._requests if worker_of(request) == worker]
            yield f'<path class="grid" d="M{LEFT} {y}H{RIGHT}"/>'
            yield _text(LEFT - 10, y + 4, f"worker {worker + 1}", "end")
            for refused, ink in ((False, LANE_INKS[worker % len(LANE_INKS)]), (True, REFUSED_INK)):
                drawn = [request for request in mine if (request.status == REFUSED) is refused]
                yield _dots([f"M{self._x(request.at)} {y}h.01" for request in drawn], ink)
            yield _text(RIGHT + 10, y + 4, f"{len(mine)} requests", "faint")

    def _x(self, second: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * second / self._seconds, 1)

    def _y(self, count: float) -> float:
        return round(COUNT_BOTTOM - (COUNT_BOTTOM - COUNT_TOP) * count / self._most, 1)


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    return f'<text x="{x}" y="{y}" class="{kind}">{words}</text>'


def _dots(places: Sequence[str], ink: str) -> str:
    return f'<path class="dot" d="{"".join(places)}" stroke="{ink}"/>' if places else ""
