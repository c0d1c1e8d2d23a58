"""Files of links, in any format, beside each other and beside text: sentence by sentence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.errors import DataError

from .console import warn
from .lines import check_line_counts, count_lines, counted, lines_of, name_of, refuse_stdin_twice

if TYPE_CHECKING:
    from nmt.alignment.formats import LinkLine


@dataclass(frozen=True)
class Row:
    """What belongs to one sentence: its links in each file of links, and its line in each text."""

    links: "tuple[LinkLine, ...]"
    texts: tuple[str, ...]


class LinkRows:
    """The sentences of files that belong together; raises DataError if these differ in their number.

    Rows of NAACL may be of fewer sentences than there are, but not of more. Ordinary files are counted before
    the first sentence is given out, stdin only at its end.
    """

    def __init__(self, links: Sequence[Path], texts: Sequence[Path] = ()) -> None:
        from nmt.alignment.link_files import LinkFile

        refuse_stdin_twice([*links, *texts])  # before the head of a file is read
        self.files = [LinkFile(lines_of(path), name=name_of(path)) for path in links]
        self._texts = texts
        is_counted = [not file.is_naacl for file in self.files] + [True] * len(texts)
        self._counted = [i for i, has_lines in enumerate(is_counted) if has_lines]
        self._paths = [(*links, *texts)[i] for i in self._counted]
        self._num_sentences = count_lines(self._paths)

    def __iter__(self) -> Iterator[Row]:
        streams: list[Iterator[Any]] = [
            self._links_of(file.name, number) for number, file in enumerate(self.files)
        ]
        streams += [lines_of(path) for path in self._texts]
        counts = [0] * len(streams)
        for sides in zip_longest(*streams):
            counts = [count + (side is not None) for count, side in zip(counts, sides, strict=True)]
            if len({counts[i] for i in self._counted}) <= 1:
                yield self._row(sides)
        check_line_counts(self._paths, [counts[i] for i in self._counted])

    def _row(self, sides: tuple[Any, ...]) -> Row:
        from nmt.alignment.formats import LinkLine

        if self._counted and sides[self._counted[0]] is None:
            name = next(file.name for file in self.files if file.is_naacl)
            raise DataError(
                f"{name}: has links of more sentences than {name_of(self._paths[0])} has lines; "
                "expected those of the same sentences"
            )
        num_files = len(self.files)
        links = tuple(LinkLine({}) if side is None else side for side in sides[:num_files])
        return Row(links, sides[num_files:])

    def _links_of(self, name: str, number: int) -> "Iterator[LinkLine]":
        def tell(num_null: int) -> None:
            warn(f"{name}: {counted(num_null, 'link')} of no word, left out")

        num_errors = 0
        for line in self.files[number].links(self._num_sentences, on_null=tell):
            num_errors += bool(line.error)
            yield line
        if num_errors:
            warn(
                f"{name}: {counted(num_errors, 'line')} with an error instead of links, taken for blank pairs"
            )
