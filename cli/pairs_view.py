"""How pairs are shown on a terminal and in a pipe: tables, words in context, plain lines."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from .console import out, write_line
from .tables import draw_context, draw_legend, draw_table, fitting_layout, visible

if TYPE_CHECKING:
    from nmt.alignment.drawing.concordance import Partner
    from nmt.alignment.drawing.pair import Pair, Tally
    from nmt.alignment.drawing.table import Layout, Names


def print_tables(
    pairs: "Iterable[Pair]",
    *,
    layout: "Layout",
    names: "Names | None",
    highlight: str,
    shows_suspicion: bool,
) -> None:
    """Print a table for each pair; what the signs mean, and what the whole comes to, at the end."""
    layouts: set[Layout] = set()
    is_known: set[bool] = set()
    total, num_pairs = None, 0
    for pair in pairs:
        fitting = fitting_layout(out, pair.alignment, layout)
        layouts.add(fitting)
        table = draw_table(
            out,
            pair.alignment,
            layout=fitting,
            caption=_caption(pair, shows_suspicion=shows_suspicion),
            reference=pair.reference,
            highlight=highlight,
            unknown=pair.unknown,
        )
        out.print(table, "")
        is_known |= pair.is_known
        total, num_pairs = _added(total, pair), num_pairs + 1
    if layouts:
        out.print(draw_legend(out, layouts=layouts, names=names, is_known=is_known))
    if total and names:
        out.print(_total(total, num_pairs, is_gold=names.is_gold), style="bold", markup=False)


def print_plain(pairs: "Iterable[Pair]", *, shows_suspicion: bool) -> None:
    """Print the plain lines of each pair, and what the whole comes to."""
    from nmt.alignment.drawing.plain import plain_lines

    total, num_pairs, is_gold = None, 0, False
    for pair in pairs:
        for line in plain_lines(pair, caption=_known(pair, shows_suspicion=shows_suspicion)):
            write_line(line)
        write_line("")
        total, num_pairs = _added(total, pair), num_pairs + 1
        is_gold = bool(pair.reference and pair.reference.is_gold)
    if total:
        write_line(f"total\tinfo\t{_total(total, num_pairs, is_gold=is_gold)}")


def print_contexts(found: "Iterable[Pair]", shown: "Iterable[Pair]", word: str, *, is_plain: bool) -> None:
    """Print what the word is linked to in all pairs found, then its places in those shown."""
    from nmt.alignment.drawing.concordance import count_partners, occurrences
    from nmt.alignment.drawing.plain import plain_context, plain_counts

    partners = count_partners(each for pair in found for each in occurrences(pair, word))
    if is_plain and partners:
        for line in plain_counts(partners, word):
            write_line(line)
        write_line("")
        for pair in shown:
            for place in occurrences(pair, word):
                write_line(plain_context(place))
    elif partners:
        out.print(_partner_table(partners, word), "")
        for pair in shown:
            for place in occurrences(pair, word):
                out.print(draw_context(out, place), "")


def _partner_table(partners: "list[Partner]", word: str) -> Table:
    from nmt.alignment.drawing.plain import two_digits

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in (visible(out, word.casefold()), "linked to"):
        table.add_column(Text(name))
    has_mean = any(each.probability is not None for each in partners)
    for name in ("times", *(["mean p"] if has_mean else [])):
        table.add_column(name, justify="right")
    table.add_column("")
    most = max(each.count for each in partners)
    last = None
    for each in partners:
        bar = Text("━" * max(1, round(20 * each.count / most)), "cyan" if each.word else "red")
        partner = Text(visible(out, each.word), "bold") if each.word else Text("no link", "red")
        side = "" if each.side == last else f"in the {each.side}"
        mean = [two_digits(each.probability)] if has_mean else []
        table.add_row(side, partner, f"{each.count:,}", *mean, bar)
        last = each.side
    return table


def _caption(pair: "Pair", *, shows_suspicion: bool) -> str:
    return ", ".join(filter(None, (str(pair.number), _known(pair, shows_suspicion=shows_suspicion))))


def _known(pair: "Pair", *, shows_suspicion: bool) -> str:
    suspicion = f"{pair.suspicion_name} {pair.suspicion:.2f}" if shows_suspicion else ""
    tally = str(pair.tally()) if pair.reference else ""
    return ", ".join(filter(None, (suspicion, tally, pair.origin)))


def _added(total: "Tally | None", pair: "Pair") -> "Tally | None":
    if pair.reference is None:
        return None
    return total + pair.tally() if total else pair.tally()


def _total(total: "Tally", num_pairs: int, *, is_gold: bool) -> str:
    name = "AER" if is_gold else "difference"
    pairs = "1 pair" if num_pairs == 1 else f"{num_pairs:,} pairs"
    return f"{pairs}: {total}, {name} {total.links.aer:.3f}"
