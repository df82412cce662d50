"""Figures of chances and lists as SVG: classes only, with a table beside each on the page. Words come in translated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

__all__ = ["curves_svg", "intervals_svg", "lead_svg", "reliability_svg", "slope_svg", "tradeoff_svg"]

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 340, 240, 44, 40, 14, 14
#: small chances are most of them: the axis is stretched as the square root
TICKS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
#: a dot of fewer answers says more of chance than of the forecast
FEW = 10


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def _percent(share: float) -> str:
    return f"{100 * share:g}"


def _frame(across: str, up: str, label: str, body: list[str]) -> SafeString:
    words = (
        f'<text class="axis" x="{_x(0.5):g}" y="{HEIGHT - 6}">{escape(across)}</text>'
        f'<text class="axis" transform="translate(12 {_y(0.5):g}) rotate(-90)">{escape(up)}</text>'
    )
    return mark_safe(  # noqa: S308 - our own numbers, and words escaped above
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f'<path class="frame" d="M{_x(0):g} {_y(1):g}V{_y(0):g}H{_x(1):g}"/>{"".join(body)}{words}</svg>'
    )


def reliability_svg(bins: Sequence[Sequence[float]], *, across: str, up: str, label: str) -> SafeString:
    """Where what was said came true: a dot for each (mean chance, share reached, n), near the line where chances hold."""
    body = [f'<path class="even" d="M{_x(0):g} {_y(0):g}L{_x(1):g} {_y(1):g}"/>']
    for tick in TICKS:
        at = sqrt(tick)
        body.append(f'<text class="tick" x="{_x(at):g}" y="{_y(0) + 13:g}">{_percent(tick)}</text>')
        body.append(f'<text class="tick end" x="{_x(0) - 5:g}" y="{_y(at) + 3:g}">{_percent(tick)}</text>')
    body += [
        f'<circle class="dot-figure" cx="{_x(sqrt(max(c, 0))):.1f}" cy="{_y(sqrt(max(s, 0))):.1f}" r="{min(2.5 + n**0.25 / 4, 7):.1f}"/>'
        for c, s, n in bins
        if n >= FEW
    ]
    return _frame(across, up, label, body)


def curves_svg(curves: Mapping[str, Sequence[Sequence[float]]], *, across: str, up: str, label: str) -> SafeString:
    """Precision over recall, a line a list; the first is the forecast's. Lines differ by dashes, not by colour alone."""
    body = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        body.append(f'<text class="tick" x="{_x(tick):g}" y="{_y(0) + 13:g}">{_percent(tick)}</text>')
        body.append(f'<text class="tick end" x="{_x(0) - 5:g}" y="{_y(tick) + 3:g}">{_percent(tick)}</text>')
    for number, points in enumerate(curves.values()):
        path = "L".join(f"{_x(recall):.1f} {_y(precision):.1f}" for recall, precision in points)
        body.append(f'<path class="line line-{number}" d="M{path}"/>')
    return _frame(across, up, label, body)


def tradeoff_svg(
    curves: Mapping[str, Sequence[Sequence[float]]], *, here: tuple[float, float], across: str, up: str, label: str
) -> SafeString:
    """What is seen over the false alarms it costs, a line a detector, a dot for each of few bars; `here` is the bar in force."""
    most = max((false for points in curves.values() for false, _seen in points if _seen < 0.995), default=1.0)
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if most / s <= 6 or s == 1000)
    most = step * max(-(-most // step), 1)
    body = [
        f'<text class="tick" x="{_x(k * step / most):g}" y="{_y(0) + 13:g}">{k * step:g}</text>'
        for k in range(int(most // step) + 1)
    ]
    body += [
        f'<text class="tick end" x="{_x(0) - 5:g}" y="{_y(tick) + 3:g}">{_percent(tick)}</text>'
        for tick in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    for number, points in enumerate(curves.values()):
        places = [(_x(false / most), _y(seen)) for false, seen in points if false <= most]
        if not places:
            continue
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        body.append(f'<path class="line line-{number}" d="M{path}"/>')
        if len(points) <= FEW:
            body += [f'<circle class="line line-{number}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places]
    body.append(f'<circle class="dot-figure" cx="{_x(here[0] / most):.1f}" cy="{_y(here[1]):.1f}" r="5"/>')
    return _frame(across, up, label, body)


def lead_svg(days: Sequence[int], *, across: str, up: str, label: str) -> SafeString:
    """How many students were flagged so long before: bars of five school days."""
    most = max(max(days, default=0), 1)
    step = (_x(1) - _x(0)) / max(len(days), 1)
    body = [f'<text class="tick end" x="{_x(0) - 5:g}" y="{_y(1) + 4:g}">{most}</text>']
    for k, n in enumerate(days):
        left = _x(0) + k * step
        body.append(
            f'<rect class="bar" x="{left + 2:.1f}" y="{_y(n / most):.1f}" width="{step - 4:.1f}" '
            f'height="{_y(0) - _y(n / most):.1f}"/>'
        )
        if k % 2 == 0:
            body.append(f'<text class="tick" x="{left:.1f}" y="{_y(0) + 13:g}">{5 * k}</text>')
    return _frame(across, up, label, body)


def intervals_svg(share: float, low: float, high: float, *, label: str) -> SafeString:
    """A share with its interval on a line from 0 to 1: for a row of a table."""
    x = [4 + 112 * v for v in (low, share, high)]
    return mark_safe(  # noqa: S308 - our own numbers, and words escaped
        f'<svg class="interval" viewBox="0 0 120 16" role="img" aria-label="{escape(label)}"><path class="frame" d="M4 8H116"/>'
        f'<path class="range" d="M{x[0]:.1f} 8H{x[2]:.1f}"/><circle class="dot-figure" cx="{x[1]:.1f}" cy="8" r="4"/></svg>'
    )


def slope_svg(weight: float, most: float, *, label: str) -> SafeString:
    """What a term adds to the log-odds, from two spreads under its mean to two over it: the curve of a linear term is a line."""
    rise = 26 * weight / max(most, 1e-9)
    return mark_safe(  # noqa: S308 - our own numbers, and words escaped
        f'<svg class="interval tall" viewBox="0 0 120 60" role="img" aria-label="{escape(label)}"><path class="frame" d="M4 30H116"/>'
        f'<path class="line line-0" d="M4 {30 + rise:.1f}L116 {30 - rise:.1f}"/></svg>'
    )
