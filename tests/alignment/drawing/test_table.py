"""Alignment tables are legible, complete, safe to print and never too wide."""

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from nmt.alignment.drawing.marks import Reference
from nmt.alignment.drawing.printable import printable
from nmt.alignment.drawing.table import Names, alignment_table, fits_grid, legend
from nmt.alignment.merge import WordAlignment
from nmt.corpus.links import GoldLinks, parse_talp
from nmt.corpus.words import word_spans


def aligned(source: str, target: str, links: str, *, tokens="punct") -> WordAlignment:
    """An alignment from links such as `0-0 1-2:0.4`."""
    parsed = {}
    for item in links.split():
        i, j, p = re.fullmatch(r"(\d+)-(\d+)(?::(.+))?", item).groups()
        parsed[int(i), int(j)] = float(p or 1)
    spans = (tuple(word_spans(line, tokens)) for line in (source, target))
    return WordAlignment(source, target, *spans, parsed)


def rendered(table: RenderableType, *, width: int = 80, colour: bool = False) -> str:
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        force_terminal=colour,
        color_system="truecolor" if colour else None,
        highlight=False,
    )
    console.print(table, end="")
    return file.getvalue()


def drawn(alignment: WordAlignment, *, width: int = 80, **options) -> str:
    """The table as a reader sees it without colour, as a text block that begins with a newline."""
    table = rendered(alignment_table(alignment, width=width, colour=False, **options), width=width)
    return "\n" + "\n".join(line.rstrip() for line in table.split("\n"))


GERMAN = aligned(
    "Er ruft heute seine Mutter leider nicht im Garten an.",
    "He does not call his mother in the garden today.",
    "0-0 6-2:0.95 1-3:0.97 9-3:0.62 3-4:0.99 4-5 7-6:0.98 7-7:0.91 8-8 2-9:0.83 10-10:0.4",
)


def test_source_words_stand_below_the_target_words_they_are_linked_to() -> None:
    assert drawn(GERMAN, caption="1") == (
        """
1  Er ruft heute seine Mutter leider nicht im Garten an.
He   does  not     call          his     mother   in the  garden   today   .
━━━        ━━━━━▸  ━━━━━━─────▸  ━━━━━━  ━━━━━━━  ━━━━━━  ━━━━━━━  ◂─────  ╌╌╌
Er₁  ∅     nicht₇  ruft₂ … an₁₀  seine₄  Mutter₅  im₈     Garten₉  heute₃  .₁₁

∅

leider₆
"""
    )


def test_a_narrow_table_goes_on_in_a_new_band() -> None:
    assert drawn(GERMAN, width=60) == (
        """
Er ruft heute seine Mutter leider nicht im Garten an.
He   does  not     call          his     mother   in the
━━━        ━━━━━▸  ━━━━━━─────▸  ━━━━━━  ━━━━━━━  ━━━━━━
Er₁  ∅     nicht₇  ruft₂ … an₁₀  seine₄  Mutter₅  im₈

garden   today   .    ∅
━━━━━━━  ◂─────  ╌╌╌
Garten₉  heute₃  .₁₁  leider₆
"""
    )


def test_wide_characters_take_two_columns_and_neighbours_without_a_space_are_one() -> None:
    japanese = aligned("私は本を借りました。", "I borrowed books.", "0-0 2-2:0.8 4-1 5-1 6-1 7-1 8-1 9-3")
    assert drawn(japanese) == (
        """
私は本を借りました。
I    borrowed       books  .     ∅
━━━  ━━━━━━━━━━━━━  ◂────  ━━━━
私₁  借りました₅₋₉  本₃    。₁₀  は₂ を₄
"""
    )


def test_the_table_is_drawn_in_ascii_where_nothing_else_can_be_shown() -> None:
    text = drawn(aligned("a b c d", "B A C", "1-0:0.7 0-1 3-2:0.2 1-2"), ascii_only=True)
    assert text == (
        """
a b c d
B    A    C           ()
-->  ===  ====......
b_2  a_1  b_2 .. d_4  c_3
"""
    )
    assert text.isascii()


def test_a_grid_has_a_row_for_each_target_and_a_column_for_each_source_word() -> None:
    assert drawn(GERMAN, layout="grid", caption="1") == (
        """
1
            ruft
            │  heute
            │  │  seine
            │  │  │  Mutter
            │  │  │  │  leider
            │  │  │  │  │  nicht Garten
         Er │  │  │  │  │  │  im │  an .
    He   ██ ·  ·  ·  ·  ·  ·  ·  ·  ·  ·
  does ∅ ·  ·  ·  ·  ·  ·  ·  ·  ·  ·  ·
   not   ·  ·  ·  ·  ·  ·  ██ ·  ·  ·  ·
  call   ·  ██ ·  ·  ·  ·  ·  ·  ·  ▓▓ ·
   his   ·  ·  ·  ██ ·  ·  ·  ·  ·  ·  ·
mother   ·  ·  ·  ·  ██ ·  ·  ·  ·  ·  ·
    in   ·  ·  ·  ·  ·  ·  ·  ██ ·  ·  ·
   the   ·  ·  ·  ·  ·  ·  ·  ██ ·  ·  ·
garden   ·  ·  ·  ·  ·  ·  ·  ·  ██ ·  ·
 today   ·  ·  ██ ·  ·  ·  ·  ·  ·  ·  ·
     .   ·  ·  ·  ·  ·  ·  ·  ·  ·  ·  ▒▒
                        ∅
"""
    )


def test_a_grid_shortens_long_words_and_becomes_interlinear_where_it_is_too_wide() -> None:
    words = [f"Wort{number}" for number in range(10)]
    long = aligned(" ".join(["Donaudampfschifffahrtsgesellschaft", *words]), "company words", "0-0 10-1")
    lines = drawn(long, width=60, layout="grid").split("\n")
    assert any("Donaudampfschi…" in line for line in lines)
    assert [line for line in lines if "company   ██" in line]
    assert max(map(len, lines)) <= 60
    assert fits_grid(long, width=40)
    assert not fits_grid(long, width=32)
    assert drawn(long, width=32, layout="grid") == drawn(long, width=32)


GOLD = Reference(parse_talp("0-0 1-1 2p2 3p2", where="gold:1"))
NAMES = Names("here.links", "gold.talp", is_gold=True)
COMPARED = aligned("a b c d", "A B C D", "0-0 0-1:0.3 2-2")


def test_diff_marks_links_that_gold_has_not_and_links_that_only_gold_has() -> None:
    assert drawn(COMPARED, reference=GOLD) == (
        """
a b c d
A   B        C    D  ∅
━━  ╌╌╌╌╌╌╌  ━━━
a₁  +a₁ −b₂  ?c₃  ∅  d₄
"""
    )
    assert drawn(COMPARED, reference=GOLD, layout="grid") == (
        """
    a  b  c  d
A   ██ ·  ·  ·
B   ++ −− ·  ·
C   ·  ·  █? ??
D ∅ ·  ·  ·  ·
             ∅
"""
    )


def test_in_colour_the_kinds_of_links_differ_in_colour_too() -> None:
    text = rendered(alignment_table(COMPARED, width=80, colour=True, reference=GOLD), colour=True)
    green, red, yellow = "\x1b[32m", "\x1b[31m", "\x1b[33m"
    assert f"{green}a" in text
    assert f"{yellow}−b" in text
    assert f"{red}∅" in text
    assert re.search(r"\x1b\[2;31m\+a", text), "the wrong link is unlikely: dim and red"


def test_without_colour_there_is_no_hue() -> None:
    text = rendered(alignment_table(GERMAN, width=80, colour=False), colour=True)
    assert set(re.findall(r"\x1b\[([\d;]*)m", text)) <= {"0", "1", "2", "3"}


def test_a_word_to_point_out_stands_in_brackets_together_with_its_links() -> None:
    text = drawn(GERMAN, highlight="RUFT")
    assert "[call]" in text
    assert "[ruft]₂ … an₁₀" in text


def test_the_link_that_leaves_the_most_probable_order_has_the_arrow() -> None:
    moved = aligned("x y z", "Z X Y", "2-0:0.9 0-1:0.9 1-2:0.9")
    assert drawn(moved).split("\n")[3] == "━▸  ━━  ━━"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "␛[31mred"),
        ("a\x07\tb", "a␇␉b"),
        ("\x9b31m", "\\x9b31m"),
        ("\x7f", "\\x7f"),
        ("abc\u202etxt", "abc\\u202etxt"),
        ("soft\u00adly", "soft\\xadly"),
        ("line\u2028end", "line\\u2028end"),
        ("\udcff", "\\udcff"),
        ("[bold]x[/]", "[bold]x[/]"),
        ("\u0301a", "◌\u0301a"),
        ("كتب", "\u200eكتب\u200e"),
        ("می‌روم", "\u200eمی‌روم\u200e"),
        ("", ""),
    ],
)
def test_text_is_safe_to_print(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_escapes_in_a_sentence_reach_no_terminal() -> None:
    evil = aligned("\x1b]0;title\x07 \x1b[2J", "\x1b[31mred [red]x[/red]", "0-0 1-1", tokens="space")
    for layout in ("interlinear", "grid"):
        table = alignment_table(evil, width=80, colour=False, layout=layout, caption="\x1b[5m")
        text = rendered(table)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
        assert "[red]x[/red]" in text


@pytest.mark.parametrize("layout", ["interlinear", "grid"])
def test_an_empty_side_is_no_trouble(layout: str) -> None:
    assert "∅" in drawn(aligned("", "Hello there", ""), layout=layout)
    assert "∅" in drawn(aligned("Hallo", "", ""), layout=layout)
    assert drawn(aligned("", "", ""), layout=layout).strip() == ""


def test_the_legend_explains_the_signs_and_fits() -> None:
    text = rendered(legend(width=60, colour=False, names=NAMES), width=60)
    assert "∅ no link" in text
    assert "+ only in here.links" in text
    assert "? possible in gold.talp" in text
    assert max(map(cell_len, text.split("\n"))) <= 60
    assert rendered(legend(width=60, colour=False, layouts=["grid"], ascii_only=True, names=NAMES)).isascii()


WORDS = st.text(st.sampled_from("abcüßé本語の나は،كتا\u0301\u0e33\x1b.-"), min_size=1, max_size=70)
PROBABILITIES = st.sampled_from([0.1, 0.45, 0.7, 0.95, 1.0])


@st.composite
def alignments(draw, words=WORDS) -> WordAlignment:
    sides = [draw(st.lists(words, max_size=30)) for _ in range(2)]
    source, target = map(" ".join, sides)
    src_words, tgt_words = (tuple(word_spans(line, "space")) for line in (source, target))
    links = {}
    if src_words and tgt_words:
        pairs = st.tuples(st.integers(0, len(src_words) - 1), st.integers(0, len(tgt_words) - 1))
        links = draw(st.dictionaries(pairs, PROBABILITIES, max_size=40))
    return WordAlignment(source, target, src_words, tgt_words, links)


@given(alignments(), st.integers(60, 200), st.booleans(), st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_no_line_is_wider_than_asked_for(alignment, width, is_grid, ascii_only, has_gold) -> None:
    links = frozenset((i, j) for i, j in alignment.links if (i + j) % 2)
    gold = GoldLinks(links, frozenset({(0, 0)} if alignment.links else ()))
    for highlight in ("", "a"):
        table = alignment_table(
            alignment,
            width=width,
            colour=False,
            layout="grid" if is_grid else "interlinear",
            ascii_only=ascii_only,
            reference=Reference(gold) if has_gold else None,
            highlight=highlight,
        )
        assert max(map(cell_len, rendered(table, width=1000).split("\n"))) <= width


@st.composite
def numbered_alignments(draw) -> WordAlignment:
    num_src, num_tgt = draw(st.integers(1, 12)), draw(st.integers(1, 40))
    source, target = " ".join(f"s{i}" for i in range(num_src)), " ".join(f"t{j}" for j in range(num_tgt))
    pairs = st.tuples(st.integers(0, num_src - 1), st.integers(0, num_tgt - 1))
    return WordAlignment(
        source,
        target,
        tuple(word_spans(source)),
        tuple(word_spans(target)),
        draw(st.dictionaries(pairs, PROBABILITIES, max_size=60)),
    )


@given(numbered_alignments(), st.integers(80, 200))
@settings(max_examples=60, deadline=None)
def test_every_word_and_link_can_be_read_off_the_interlinear_table(alignment, width) -> None:
    text = drawn(alignment, width=width, ascii_only=True)
    lines = text.split("\n")[2:]
    read, targets, unlinked = set(), [], set()
    for start in range(0, len(lines), 4):
        below = {match.start(): match[0] for match in re.finditer(r"\S+(?: \S+)*", lines[start + 2])}
        for cell in re.finditer(r"\S+(?: \S+)*", lines[start]):
            sources = {int(i) for i in re.findall(r"s(\d+)_", below[cell.start()])}
            if cell[0] == "()":
                unlinked = sources
                continue
            words = [int(j) for j in re.findall(r"t(\d+)", cell[0])]
            targets += words
            read |= {(i, j) for i in sources for j in words}
    assert read == set(alignment.links)
    assert targets == list(range(len(alignment.tgt_words)))
    assert unlinked == set(range(len(alignment.src_words))) - {i for i, _ in alignment.links}


@given(numbered_alignments(), st.integers(60, 200))
@settings(max_examples=40, deadline=None)
def test_a_grid_has_a_square_for_every_link(alignment, width) -> None:
    text = drawn(alignment, width=width, layout="grid", ascii_only=True)
    assert len(re.findall(r"::|==|\*\*|##", text)) == len(alignment.links)
