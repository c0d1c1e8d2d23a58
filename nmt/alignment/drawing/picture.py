"""A pair as a vector picture for papers and slides: two rows of words, and curves for their links."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from nmt.alignment.drawing.bands import Band, cut_into_bands
from nmt.alignment.drawing.letter_widths import text_width
from nmt.alignment.drawing.marks import Mark, Verdict
from nmt.alignment.drawing.pair import Pair
from nmt.alignment.drawing.printable import without_controls
from nmt.corpus.links import Link
from nmt.corpus.words import Span
from nmt.errors import UsageError

FONTS = "Helvetica, Arial, 'Liberation Sans', 'Noto Sans', 'DejaVu Sans', sans-serif"
SIZE, RISE, LEADING, MARGIN = 16.0, 58.0, 34.0, 10.0
"""Size of the font, and heights in pixels: between the rows of a band, between bands, around all."""
GAP, JOINED_GAP, WIDEST_GAP = 0.55, 0.1, 1.9
"""Between words, in parts of the font's size."""
ROOM = 720.0
TYPICAL = 0.8
"""A link whose probability is not known is drawn like one of this."""
INK, UNLINKED = "#1c2024", "#7a828b"
COLOURS: dict[Verdict, str] = {
    "link": "#1c6dad",
    "both": "#0b7a75",
    "allowed": "#0b7a75",
    "extra": "#c2255c",
    "missing": "#a35f00",
}
DASHES: dict[Verdict, str] = {"allowed": "1.5 3.5", "missing": "5 4"}
PNG_ZOOM = 3


@dataclass(frozen=True)
class Place:
    """Where a word stands: the middle of it, and its base line."""

    x: float
    y: float


def svg_picture(pair: Pair, *, room: float = ROOM) -> str:
    """The pair as SVG, as many bands high as it takes to be no wider than `room` pixels.

    Raises UsageError if both of its sides are blank.
    """
    if not pair.alignment.src_words and not pair.alignment.tgt_words:
        raise UsageError("both sides of the pair are blank; there is nothing to draw")
    marks = {link: mark for link, mark in pair.marks().items() if mark.is_shown}
    sides = [_Side(pair.source, pair.alignment.src_words), _Side(pair.target, pair.alignment.tgt_words)]
    bands = cut_into_bands(sides[0].widths, sides[1].widths, marks, room=room - 2 * MARGIN)
    places: list[dict[int, Place]] = [{}, {}]
    y = MARGIN + SIZE
    for band in bands:
        longest = max(side.length(words, GAP) for side, words in zip(sides, _words(band), strict=True))
        for side, found, words, row in zip(sides, places, _words(band), (0, RISE), strict=True):
            found |= side.places(words, longest, y + row)
        y += RISE + SIZE + LEADING
    width = 2 * MARGIN + max(
        (side.length(words, GAP) for band in bands for side, words in zip(sides, _words(band), strict=True)),
        default=0.0,
    )
    body = [*_curves(marks, places), *_texts(sides, places, marks)]
    return _document(pair, body, width=width, height=y - LEADING - SIZE + MARGIN * 1.4)


def png_picture(pair: Pair, *, room: float = ROOM) -> bytes:
    """The same as PNG, three pixels to one."""
    try:
        import resvg_py
        from matplotlib import get_data_path
    except ImportError:
        raise UsageError(
            "a PNG picture needs more packages: pip install 'nmt[plot]'; SVG needs none"
        ) from None
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=svg_picture(pair, room=room),
            zoom=PNG_ZOOM,
            background="white",
            font_dirs=[f"{get_data_path()}/fonts/ttf"],
            sans_serif_family="DejaVu Sans",
        )
    )


def _words(band: Band) -> tuple[range, range]:
    return band.source, band.target


class _Side:
    """The words of one side, and how wide they are in pixels, the gap before each included."""

    def __init__(self, words: Sequence[str], spans: Sequence[Span]) -> None:
        self.words = [without_controls(word) for word in words]
        self.joined = [k > 0 and spans[k - 1][1] == spans[k][0] for k in range(len(spans))]
        self.is_right_to_left = next(map(_is_right_to_left, filter(_has_direction, "".join(words))), False)
        self.widths = [self._width(k) + self._gap(k, GAP) for k in range(len(words))]

    def _width(self, k: int) -> float:
        return text_width(self.words[k]) * SIZE

    def _gap(self, k: int, gap: float) -> float:
        return (JOINED_GAP if self.joined[k] else gap) * SIZE

    def length(self, words: range, gap: float) -> float:
        """Width of a row of words."""
        return sum(self._width(k) + (self._gap(k, gap) if k > words.start else 0.0) for k in words)

    def places(self, words: range, length: float, y: float) -> dict[int, Place]:
        """Places of the words of a row that is spread to this length, as far as that looks well."""
        num_gaps = sum(not self.joined[k] for k in words[1:])
        gap = GAP + max(0.0, length - self.length(words, GAP)) / SIZE / max(1, num_gaps)
        gap = min(gap, WIDEST_GAP)
        places, x = {}, 0.0
        for k in words:
            x += self._gap(k, gap) if k > words.start else 0.0
            middle = x + self._width(k) / 2
            places[k] = Place(MARGIN + (length - middle if self.is_right_to_left else middle), y)
            x += self._width(k)
        return places


def _has_direction(letter: str) -> bool:
    return unicodedata.bidirectional(letter) in ("L", "R", "AL")


def _is_right_to_left(letter: str) -> bool:
    return unicodedata.bidirectional(letter) != "L"


def _curves(marks: dict[Link, Mark], places: list[dict[int, Place]]) -> Iterator[str]:
    for (i, j), mark in sorted(marks.items(), key=lambda item: item[1].weight):
        top, bottom = places[0][i], places[1][j]
        is_down = top.y < bottom.y
        y1 = top.y + (0.38 * SIZE if is_down else -SIZE)
        y2 = bottom.y - (SIZE if is_down else -0.38 * SIZE)
        bend = (y2 - y1) * 0.45
        is_known = mark.probability is not None and (mark.probability or mark.verdict != "missing")
        p = mark.weight if is_known else TYPICAL
        dashes = f' stroke-dasharray="{DASHES[mark.verdict]}"' if mark.verdict in DASHES else ""
        opacity = (0.25 + 0.65 * p) * (1.0 if abs(y2 - y1) < RISE else 0.6)  # fainter from band to band
        yield (
            f'<path d="M{top.x:.1f} {y1:.1f}C{top.x:.1f} {y1 + bend:.1f} {bottom.x:.1f} {y2 - bend:.1f} '
            f'{bottom.x:.1f} {y2:.1f}" stroke="{COLOURS[mark.verdict]}" stroke-width="{0.8 + 1.6 * p:.2f}" '
            f'stroke-opacity="{opacity:.2f}"{dashes}/>'
        )


def _texts(sides: Sequence[_Side], places: list[dict[int, Place]], marks: dict[Link, Mark]) -> Iterator[str]:
    for number, side in enumerate(sides):
        linked = {link[number] for link in marks}
        for k, place in places[number].items():
            colour = "" if k in linked else f' fill="{UNLINKED}"'
            direction = ' direction="rtl"' if side.is_right_to_left else ""
            word = escape(side.words[k])
            yield f'<text x="{place.x:.1f}" y="{place.y:.1f}"{colour}{direction}>{word}</text>'


def _document(pair: Pair, body: Sequence[str], *, width: float, height: float) -> str:
    curves = [line for line in body if line.startswith("<path")]
    texts = [line for line in body if line.startswith("<text")]
    title = escape(without_controls(f"{pair.alignment.source} – {pair.alignment.target}"))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}">',
            f"<title>{title}</title>",
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            '<g fill="none">',
            *curves,
            "</g>",
            f'<g font-family="{FONTS}" font-size="{SIZE:.0f}" text-anchor="middle" fill="{INK}">',
            *texts,
            "</g>",
            "</svg>\n",
        ]
    )
