"""Files of links in any format, which the content tells: Pharaoh, JSON lines, soft rows, talp, or NAACL."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from nmt.alignment.formats import LinkLine, gold_line, parse_link_line
from nmt.corpus.links import GoldLinks, Link, is_naacl, is_naacl_or_soft, parse_naacl
from nmt.errors import DataError


class LinkFile:
    """The lines of a file of links, of which those up to the first that shows the format are read at once."""

    def __init__(self, lines: Iterable[str], *, name: str) -> None:
        self.name = name
        stream, head = iter(lines), list[str]()
        for line in stream:
            head.append(line)
            if line.strip() and not is_naacl_or_soft(line):
                break
        shown = [line for line in head if line.strip()][-1:]
        if any(map(is_naacl_or_soft, shown)) and not name.endswith((".naacl", ".soft")):
            raise DataError(
                f"{name}: {shown[0].strip()!r}, as all lines before, can be a row of NAACL or a soft row; "
                "expected S or P behind rows of NAACL, or a file whose name ends in .naacl or .soft"
            )
        self.is_naacl = (
            name.endswith(".naacl") if not shown else is_naacl(shown[0]) and not name.endswith(".soft")
        )
        """Whether a line is a link, so that the number of sentences is not that of the lines."""
        self._lines = chain(head, stream)

    def links(
        self, num_sentences: int | None = None, *, on_null: Callable[[int], None] | None = None
    ) -> Iterator[LinkLine]:
        """The links of sentence after sentence, as lines arrive; rows of NAACL are read whole.

        These may be of `num_sentences`, else of as many as the last of them tells; sentences without rows
        have no links. `on_null` hears how many rows link the empty word 0; they are left out.
        """
        if self.is_naacl:
            yield from self._rows(num_sentences, on_null)
            return
        for number, line in enumerate(self._lines, start=1):
            yield parse_link_line(line, where=f"{self.name}:{number}")

    def _rows(self, num_sentences: int | None, on_null: Callable[[int], None] | None) -> Iterator[LinkLine]:
        sure: dict[int, set[Link]] = {}
        possible: dict[int, set[Link]] = {}
        num_null = last = 0
        for number, line in enumerate(self._lines, start=1):
            if not line.strip():
                continue
            row = parse_naacl(line, where=f"{self.name}:{number}")
            if num_sentences is not None and row.sentence > num_sentences:
                raise DataError(
                    f"{self.name}:{number}: a link of sentence {row.sentence:,}; expected at most "
                    f"{num_sentences:,}, the number of lines beside it"
                )
            last = max(last, row.sentence)
            if row.link is None:
                num_null += 1
            else:
                (sure if row.is_sure else possible).setdefault(row.sentence, set()).add(row.link)
        if num_null and on_null:
            on_null(num_null)
        for sentence in range(1, (last if num_sentences is None else num_sentences) + 1):
            both = frozenset(sure.get(sentence, ())), frozenset(possible.get(sentence, ()))
            yield gold_line(GoldLinks(*both))


def read_links(lines: Iterable[str], *, name: str, num_sentences: int | None = None) -> Iterator[LinkLine]:
    """The links of sentence after sentence of a file in any format; see `LinkFile`."""
    return LinkFile(lines, name=name).links(num_sentences)
