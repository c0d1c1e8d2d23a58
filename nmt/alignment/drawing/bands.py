"""Two sentences cut into bands that fit a width, where the fewest links are cut: for pictures."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from math import ceil

from nmt.corpus.links import Link

WASTE, ONE_MORE = 3.0, 4.0
"""How many cut links are as bad as a band that is empty to its end on one side, and as one more band."""


@dataclass(frozen=True)
class Band:
    """Words of both sides that stand over each other."""

    source: range
    target: range


def cut_into_bands(
    src_widths: Sequence[float], tgt_widths: Sequence[float], links: Collection[Link], *, room: float
) -> list[Band]:
    """Bands in order; each side of one is no wider than `room`, unless it is a single word."""
    longest = max(sum(src_widths), sum(tgt_widths))
    room = min(
        room, 1.15 * longest / max(1, ceil(longest / room)) + max([*src_widths, *tgt_widths], default=0)
    )
    rest = [_from_each_on([width / room for width in side]) for side in (src_widths, tgt_widths)]
    bands: list[Band] = []
    i = j = 0
    while i < len(src_widths) or j < len(tgt_widths):
        ends = _reach(src_widths, i, room), _reach(tgt_widths, j, room)
        if ends != (len(src_widths), len(tgt_widths)):
            near = [(a, b) for a, b in links if (a >= i or b >= j) and (a < ends[0] or b < ends[1])]
            ends = _best_cut((i, j), ends, near, rest=rest)
        bands.append(Band(range(i, ends[0]), range(j, ends[1])))
        i, j = ends
    return bands


def _from_each_on(widths: Sequence[float]) -> list[float]:
    """For each place, also that behind the last, the sum of the widths from there on."""
    return [*accumulate(reversed(widths), initial=0.0)][::-1]


def _reach(widths: Sequence[float], start: int, room: float) -> int:
    end, width = start, 0.0
    while end < len(widths) and (end == start or width + widths[end] <= room):
        width += widths[end]
        end += 1
    return end


def _best_cut(starts: Link, ends: Link, links: Sequence[Link], *, rest: Sequence[Sequence[float]]) -> Link:
    def cost(cut: Link) -> float:
        num_cut = sum((a < cut[0]) != (b < cut[1]) for a, b in links)
        waste = sum(
            (end - here) / max(1, end - start) for start, here, end in zip(starts, cut, ends, strict=True)
        )
        num_bands = ceil(max(rest[0][cut[0]], rest[1][cut[1]]))
        return num_cut + WASTE * waste + ONE_MORE * num_bands

    sources, targets = (
        range(end, start + (end - start) // 2 - 1, -1) for start, end in zip(starts, ends, strict=True)
    )
    return min((cut for cut in product(sources, targets) if cut != starts), key=cost)
