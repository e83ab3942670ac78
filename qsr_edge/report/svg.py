"""Small parts of charts: elements, scales with round ticks, and labels that keep out of each other's way.

Text never becomes markup here: elements are built as a tree and serialized by the standard library. Colours are CSS
classes, so that a page's themes reach them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

Element = ElementTree.Element
CHARACTER_PX = 6.6
"""Mean advance of the page's font at the charts' 12 px, on the wide side."""


def element(tag: str, *children: Element, content: str | None = None, **attributes: float | str) -> Element:
    """An element; ``class_`` means class, other underscores are hyphens, numbers are rounded to a tenth of a pixel."""
    node = ElementTree.Element(tag)
    for name, value in attributes.items():
        shown = value if isinstance(value, str) else f"{round(value, 1):g}"
        node.set("viewBox" if name == "viewBox" else name.rstrip("_").replace("_", "-"), shown)
    node.text = content
    node.extend(children)
    return node


def serialize(node: Element) -> str:
    """The element as HTML's inline SVG."""
    return ElementTree.tostring(node, encoding="unicode")


def path(points: Sequence[tuple[float, float]], *, closed: bool = False) -> str:
    """Path data through points."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("Z" if closed else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A scale from values to pixels, linear or logarithmic.

    Attributes:
        low, high: values at the ends.
        start_px, end_px: pixels at the ends.
        logarithmic: whether equal ratios have equal lengths; low is positive then.
        ticks: round values between low and high.
    """

    low: float
    high: float
    start_px: float
    end_px: float
    logarithmic: bool
    ticks: tuple[float, ...]

    def __call__(self, value: float) -> float:
        """The pixel of a value; beyond the ends it stays at the end."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start_px + share * (self.end_px - self.start_px)


def linear_axis(low: float, high: float, start_px: float, end_px: float, *, most_ticks: int = 6) -> Axis:
    """An axis whose ends are round values around low and high."""
    if high - low <= 1e-9 * max(1.0, abs(low)):
        high = low + (abs(low) * 0.1 or 1.0)
    step = _round_step((high - low) / max(1, most_ticks - 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(float(f"{i * step:.12g}") for i in range(first, last + 1))
    return Axis(low=ticks[0], high=ticks[-1], start_px=start_px, end_px=end_px, logarithmic=False, ticks=ticks)


def log_axis(low: float, high: float, start_px: float, end_px: float) -> Axis:
    """A logarithmic axis a little wider than low to high, with ticks at 1, 2 and 5."""
    low, high = low / 1.15, high * 1.15
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    # Between far ends the powers of ten alone are enough.
    digits = (1, 2, 5) if len(decades) <= 4 else (1,)
    ticks = tuple(digit * 10.0**power for power in decades for digit in digits)
    return Axis(
        low=low,
        high=high,
        start_px=start_px,
        end_px=end_px,
        logarithmic=True,
        ticks=tuple(tick for tick in ticks if low <= tick <= high),
    )


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(digit * power for digit in (1, 2, 2.5, 5, 10) if digit * power >= step * (1 - 1e-9))


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Ticks as texts with as many decimals as their steps need."""
    decimals = next(
        (
            count
            for count in range(7)
            if all(math.isclose(round(tick, count), tick, rel_tol=1e-9, abs_tol=1e-12) for tick in ticks)
        ),
        7,
    )
    if decimals > 2 or (ticks and max(map(abs, ticks)) >= 1e5):
        return [f"{tick:g}" for tick in ticks]
    return [f"{tick:,.{decimals}f}" for tick in ticks]


@dataclass(slots=True)
class Labels:
    """Places for labels: each takes the first of a few places beside its point that is free.

    Attributes:
        width_px, height_px: of the area that labels may use.
        taken: left, top, right and bottom of what is there already.
    """

    width_px: float
    height_px: float
    taken: list[tuple[float, float, float, float]]

    def place(self, label: str, x: float, y: float, class_: str, *, distance_px: float = 9) -> Element | None:
        """The label near (x, y), or None where there is no room: a tooltip and the table have it too."""
        width, half = len(label) * CHARACTER_PX, 7.0
        places = (
            ("start", x + distance_px, y),
            ("middle", x, y - distance_px - half + 2),
            ("middle", x, y + distance_px + half),
            ("end", x - distance_px, y),
            ("start", x + distance_px, y - 12),
            ("start", x + distance_px, y + 12),
            ("end", x - distance_px, y - 12),
            ("end", x - distance_px, y + 12),
        )
        for anchor, at_x, at_y in places:
            left = {"start": at_x, "middle": at_x - width / 2, "end": at_x - width}[anchor]
            box = (left, at_y - half, left + width, at_y + half)
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= self.width_px and box[3] <= self.height_px
            if inside and not any(
                box[0] < right and left_ < box[2] and box[1] < bottom and top < box[3]
                for left_, top, right, bottom in self.taken
            ):
                self.taken.append(box)
                return element("text", content=label, x=at_x, y=at_y + 4, text_anchor=anchor, class_=class_)
        return None

    def keep_free(self, x: float, y: float, radius_px: float) -> None:
        """Let no label cover a point."""
        self.taken.append((x - radius_px, y - radius_px, x + radius_px, y + radius_px))
