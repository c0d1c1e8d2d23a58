"""`nmt aer`: predicted links against gold links."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.corpus.links import GoldLinks, Link, Links
from nmt.corpus.words import TokenMode, words
from nmt.errors import DataError, UsageError

from .console import is_terminal, warn
from .lines import name_of
from .link_rows import LinkRows, Row
from .options import GoldBaseOption, JsonOption

if TYPE_CHECKING:
    from nmt.alignment.formats import LinkLine
    from nmt.alignment.gold import GoldBase

WordPair = tuple[list[str], list[str]]


def aer(
    links_path: Annotated[
        Path, typer.Argument(metavar="LINKS", help="Links in any format (see nmt align); - is stdin.")
    ],
    gold_path: Annotated[
        Path,
        typer.Argument(metavar="GOLD", help="Gold links: 0-3 sure, 0p3 possible (talp), or 1 1 4 S (NAACL)."),
    ],
    src: Annotated[
        Path | None, typer.Option("--src", metavar="FILE", help="Source sentences, to name words.")
    ] = None,
    tgt: Annotated[
        Path | None, typer.Option("--tgt", metavar="FILE", help="Target sentences, to name words.")
    ] = None,
    tokens: Annotated[
        TokenMode | None,
        typer.Option("--tokens", help="What a word is in --src and --tgt.", show_default="punct"),
    ] = None,
    other_path: Annotated[
        Path | None,
        typer.Option("--compare", metavar="OTHER", help="Other links: which are better, and how surely."),
    ] = None,
    is_reversed: Annotated[
        bool,
        typer.Option("--reverse", metavar="", help="LINKS, not OTHER, has the target first: turn it around."),
    ] = False,
    gold_base: GoldBaseOption = "auto",
    ignores_possible: Annotated[
        bool,
        typer.Option("--ignore-possible", metavar="", help="Links that are only possible count as no gold."),
    ] = False,
    by_length: Annotated[
        bool, typer.Option("--by-length", metavar="", help="Also show scores by the words of the source.")
    ] = False,
    worst: Annotated[
        int, typer.Option("--worst", metavar="N", min=0, help="Show the N worst sentences and their links.")
    ] = 0,
    errors: Annotated[
        int, typer.Option("--errors", metavar="N", min=0, help="Show the N most frequent wrong pairs.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure links: alignment error rate, precision, recall and F1 over the corpus (Och & Ney, 2003).

    The interval holds 95 % of the error rates of as many sentences drawn at random from these. With --compare
    the same draws tell of the difference of two error rates: negative if LINKS is the better one.

    Example:
        nmt aer test.links test.talp
        nmt aer test.jsonl test.talp --worst 5 --errors 20
    """
    from nmt.alignment import scoring, wrong_links

    from .aer_view import Result, print_result

    if (src is None) != (tgt is None):
        raise UsageError("--src and --tgt go together; give both or neither")
    if tokens and src is None:
        raise UsageError("--tokens cuts --src and --tgt into words; give both, or leave it out")
    texts = [path for path in (src, tgt) if path]
    rows_of_files = LinkRows([links_path, gold_path, *([other_path] if other_path else [])], texts)
    rows = list(rows_of_files)
    if not rows:
        raise DataError(f"{name_of(links_path)} has 0 lines; there is nothing to measure")
    lines = [row.links[0].turned() if is_reversed else row.links[0] for row in rows]
    pairs = _pairs_of_texts(rows, tokens or "punct") if texts else _pairs_of_records(lines)
    if (errors or worst or by_length) and not pairs:
        option = "--errors" if errors else "--worst" if worst else "--by-length"
        raise UsageError(f"{option} needs words: give --src and --tgt, or LINKS as JSON lines")
    predicted = _links_within(lines, pairs)
    others = _links_within([row.links[2] for row in rows], pairs) if other_path else []
    if pairs:
        _check_inside(predicted, pairs, name=name_of(links_path))
        if other_path:
            _check_inside(others, pairs, name=name_of(other_path), can_turn=False)
    is_naacl = rows_of_files.files[1].is_naacl
    gold, base = _gold(rows, pairs, name=name_of(gold_path), base=gold_base, is_naacl=is_naacl)
    _notice_links_from_one(rows, gold, names=[name_of(path) for path in (links_path, other_path) if path])
    if ignores_possible:
        gold = [GoldLinks(one.sure, one.sure) for one in gold]
    counts = scoring.score_links(predicted, gold)
    result = Result(
        counts,
        scoring.bootstrap_interval(predicted, gold),
        next((line.origin for line in lines if line.origin), f"links of {name_of(links_path)}"),
        f"pairs:{len(rows)}|sure:{counts.sure}|possible:{counts.possible}|base:{base}"
        f"|bootstrap:{scoring.BOOTSTRAP_SAMPLES}|seed:{scoring.BOOTSTRAP_SEED}",
        words=pairs or [],
        errors=wrong_links.frequent_wrong_pairs(predicted, gold, pairs or [], limit=errors) if errors else [],
        worst=wrong_links.worst_sentences(predicted, gold, limit=worst),
        lengths=scoring.scores_by_length(predicted, gold, [len(pair[0]) for pair in pairs or []])
        if by_length
        else [],
        compared=scoring.paired_bootstrap(predicted, others, gold) if other_path else None,
    )
    print_result(result, "json" if as_json else "table" if is_terminal() else "plain")


def _links_within(lines: Sequence["LinkLine"], pairs: Sequence[WordPair] | None) -> list[Links]:
    if pairs is None:
        return [line.links for line in lines]
    return [line.within(*map(len, pair)).links for line, pair in zip(lines, pairs, strict=True)]


def _pairs_of_texts(rows: Sequence[Row], tokens: TokenMode) -> list[WordPair]:
    return [(words(row.texts[0], tokens), words(row.texts[1], tokens)) for row in rows]


def _pairs_of_records(lines: Sequence["LinkLine"]) -> list[WordPair] | None:
    """The words that JSON records hold; None if there is a line that is none."""
    pairs = []
    for line in lines:
        if line.alignment is None:
            return None
        one = line.alignment
        pairs.append(
            (
                [one.source[start:end] for start, end in one.src_words],
                [one.target[start:end] for start, end in one.tgt_words],
            )
        )
    return pairs


def _gold(
    rows: Sequence[Row], pairs: Sequence[WordPair] | None, *, name: str, base: str, is_naacl: bool
) -> "tuple[list[GoldLinks], GoldBase]":
    """Gold links counted from 0, and the number that their first word has in the file."""
    from nmt.alignment.gold import fits, gold_from_zero

    lengths = [(len(src_words), len(tgt_words)) for src_words, tgt_words in pairs] if pairs else None
    links, found = gold_from_zero(
        [row.links[1].gold for row in rows], lengths, name=name, base=base, is_naacl=is_naacl
    )
    num_outside = sum(not fits([one], [length]) for one, length in zip(links, lengths or [], strict=False))
    if num_outside:
        warn(f"{name}: on {num_outside} lines a gold link points past the last word")
    return links, found


def _check_inside(
    predicted: Sequence[Links], pairs: Sequence[WordPair], *, name: str, can_turn: bool = True
) -> None:
    for number, (links, pair) in enumerate(zip(predicted, pairs, strict=True), start=1):
        link = _first_outside(links, pair)
        if link:
            raise DataError(
                f"{name}:{number}: link {link[0]}-{link[1]} points past the last of {len(pair[0])} source or "
                f"{len(pair[1])} target words; {_advice(predicted, pairs, can_turn=can_turn)}"
            )


def _advice(predicted: Sequence[Links], pairs: Sequence[WordPair], *, can_turn: bool) -> str:
    exchanged = [(tgt_words, src_words) for src_words, tgt_words in pairs]
    if all(_first_outside(links, pair) is None for links, pair in zip(predicted, exchanged, strict=True)):
        fitting = "all links fit once the sides are exchanged: "
        return fitting + (
            "exchange --src and --tgt, or give --reverse" if can_turn else "write OTHER with the source first"
        )
    one_less = [{(i - 1, j - 1) for i, j in links} for links in predicted]
    if _count_from_one(predicted) and not any(map(_first_outside, one_less, pairs)):
        return "no link has the first word, 0: count words from 0, not from 1"
    return "is another --tokens meant, or are these other sentences?"


def _notice_links_from_one(rows: Sequence[Row], gold: Sequence[GoldLinks], *, names: Sequence[str]) -> None:
    """Warn of plain links, of LINKS or OTHER, that have no word 0 where gold links have."""
    if _count_from_one([set(one.possible) for one in gold]):
        return
    for name, number in zip(names, (0, 2), strict=False):  # gold links are between them
        lines = [row.links[number] for row in rows]
        is_plain = all(line.alignment is None and line.num_words is None for line in lines)
        if is_plain and _count_from_one([line.links for line in lines]):
            warn(f"{name}: no link has the first word, 0; links count words from 0 here, not from 1")


def _count_from_one(predicted: Sequence[Links]) -> bool:
    """Whether there are links, and none has a word 0, as none has that counts words from 1."""
    return any(predicted) and not any(0 in link for links in predicted for link in links)


def _first_outside(links: Links, pair: WordPair) -> Link | None:
    outside = [(i, j) for i, j in links if i >= len(pair[0]) or j >= len(pair[1])]
    return min(outside, default=None)
