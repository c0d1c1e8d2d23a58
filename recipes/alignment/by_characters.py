"""Links that `nmt align` wrote for raw lines, brought onto the tokens of the gold by characters.

nmt align … --format jsonl | python recipes/alignment/by_characters.py - GOLD.SRC GOLD.TGT -o LINKS
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise, takewhile
from pathlib import Path

from nmt.alignment.formats import parse_record
from nmt.alignment.merge import WordAlignment
from nmt.corpus.links import Links, format_pharaoh
from nmt.corpus.words import Span
from nmt.errors import DataError, NmtError
from nmt.files import decode_lines, read_lines, write_text


def seen_spans(line: str, spans: Sequence[Span]) -> list[Span]:
    """Spans of a line as spans of its characters without the spaces."""
    seen = [0, *accumulate(not character.isspace() for character in line)]
    return [(seen[start], seen[end]) for start, end in spans]


def token_spans(line: str, gold: str, *, where: str) -> list[Span]:
    """Spans of the gold's tokens in a line without its spaces, whose characters must be the same."""
    ours, theirs = "".join(line.split()), "".join(gold.split())
    if ours != theirs:
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(ours, theirs, strict=False)))
        raise DataError(
            f"{where}: after {same} characters the aligned line has {ours[same : same + 10]!r} and the gold "
            f"{theirs[same : same + 10]!r}; expected the same text, spaces aside"
        )
    ends = [0, *accumulate(map(len, gold.split()))]
    return list(pairwise(ends))


def overlaps(words: Sequence[Span], tokens: Sequence[Span]) -> list[dict[int, int]]:
    """For each word the tokens that it shares characters with, and how many."""
    shared = [
        {t: min(word[1], token[1]) - max(word[0], token[0]) for t, token in enumerate(tokens)}
        for word in words
    ]
    return [{t: num for t, num in each.items() if num > 0} for each in shared]


def token_links(
    alignment: WordAlignment, src_tokens: Sequence[Span], tgt_tokens: Sequence[Span], *, min_share: float
) -> Links:
    """Pairs of tokens of whose pairs of characters a share of `min_share` is linked, and never none."""
    src_overlaps = overlaps(seen_spans(alignment.source, alignment.src_words), src_tokens)
    tgt_overlaps = overlaps(seen_spans(alignment.target, alignment.tgt_words), tgt_tokens)
    linked: defaultdict[tuple[int, int], int] = defaultdict(int)  # pairs of characters, by pair of tokens
    for i, j in alignment.links:
        for s, num_src in src_overlaps[i].items():
            for t, num_tgt in tgt_overlaps[j].items():
                linked[s, t] += num_src * num_tgt
    return {
        (s, t)
        for (s, t), num in linked.items()
        if num >= min_share * _size(src_tokens[s]) * _size(tgt_tokens[t])
    }


def _size(span: Span) -> int:
    return span[1] - span[0]


def mapped(
    records: Sequence[str], src_lines: Sequence[str], tgt_lines: Sequence[str], *, min_share: float
) -> Iterator[Links]:
    """The links of each record on the tokens of the gold lines."""
    if not len(records) == len(src_lines) == len(tgt_lines):
        raise DataError(
            f"{len(records)} records for {len(src_lines)} source and {len(tgt_lines)} target lines of gold"
        )
    for number, (record, source, target) in enumerate(
        zip(records, src_lines, tgt_lines, strict=True), start=1
    ):
        alignment = parse_record(record, where=f"record {number}")
        src_tokens = token_spans(alignment.source, source, where=f"source line {number}")
        tgt_tokens = token_spans(alignment.target, target, where=f"target line {number}")
        yield token_links(alignment, src_tokens, tgt_tokens, min_share=min_share)


def main() -> None:
    """Write a line of Pharaoh for each record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", type=Path, help="JSON lines of nmt align; - is stdin")
    parser.add_argument("src", type=Path, help="the gold's source tokens")
    parser.add_argument("tgt", type=Path, help="the gold's target tokens")
    parser.add_argument("-o", "--output", type=Path, required=True, help="where to write the links")
    parser.add_argument(
        "--min-share",
        type=float,
        default=0.0,
        help="how much of a pair of tokens must be linked, as a share of its pairs of characters; 0 is any",
    )
    arguments = parser.parse_args()
    is_stdin = arguments.records == Path("-")
    try:
        lines = decode_lines(sys.stdin.buffer, "stdin") if is_stdin else read_lines(arguments.records)
        gold = [list(read_lines(path)) for path in (arguments.src, arguments.tgt)]
        links = mapped(list(lines), *gold, min_share=arguments.min_share)
        write_text(arguments.output, "".join(format_pharaoh(each) + "\n" for each in links))
    except NmtError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
