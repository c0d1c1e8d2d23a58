"""What a file of links holds: its format, how many, how it counts words, and whose links they are."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nmt.corpus.links import LinkFormat, format_of_ending
from nmt.errors import DataError
from nmt.files import read_lines

FORMATS: list[LinkFormat] = ["jsonl", "soft", "talp", "pharaoh-scores", "pharaoh"]
"""A file is of the first of them that one of its lines is of."""


def link_facts(path: Path) -> dict[str, Any] | None:
    """What a file of links holds; None if it has a line that is none, or nothing but blank lines."""
    from nmt.alignment.formats import format_of_line
    from nmt.alignment.link_files import LinkFile

    formats, num_lines, num_null = set[LinkFormat](), 0, 0

    def seen() -> Iterator[str]:
        nonlocal num_lines
        for num_lines, line in enumerate(read_lines(path), start=1):  # noqa: B007
            if line.strip():
                formats.add(format_of_line(line))
            yield line

    def count_null(number: int) -> None:
        nonlocal num_null
        num_null = number

    counts, origins, has_zero = Counter[str](), set[str](), False
    try:
        file = LinkFile(seen(), name=str(path))
        for line in file.links(on_null=count_null):
            counts.update(
                sentences=1,
                links=len(line.links),
                possible=len(line.possible),
                empty=int(not line.links),
                errors=int(bool(line.error)),
            )
            has_zero = has_zero or any(0 in link for link in line.links)
            origins |= {line.origin} - {""}
    except DataError:
        return None
    if not formats:
        return None
    chosen = "naacl" if file.is_naacl else next(each for each in FORMATS if each in formats)
    if chosen == "pharaoh" and format_of_ending(path) == "talp":
        chosen = "talp"  # of sure links alone, which look the same
    counts_from_zero = chosen in ("jsonl", "soft") or has_zero
    return {
        "kind": "links",
        "path": str(path),
        "bytes": path.stat().st_size,
        "format": chosen,
        "lines": num_lines,
        "sentences": counts["sentences"],
        "sentences_without_links": counts["empty"],
        "links": counts["links"],
        "only_possible": counts["possible"],
        **({"lines_with_an_error": counts["errors"]} if counts["errors"] else {}),
        **({"links_of_no_word": num_null} if num_null else {}),
        "first_word": 1 if chosen == "naacl" else 0 if counts_from_zero else None,
        "whose": sorted(origins) or None,
    }
