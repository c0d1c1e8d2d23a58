"""How translations and their links are shown and written: plain lines, JSON lines, n-best lists, tables."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from nmt.corpus.links import LinkFormat, format_of_ending, format_pharaoh
from nmt.corpus.words import UnitMode
from nmt.files import atomic_file

from .console import is_terminal, out
from .lines import STDIN, counted, write_all, write_whole
from .requests import Request, without_outcomes
from .signals import whole_lines
from .tables import draw_legend, draw_table, visible

if TYPE_CHECKING:
    from nmt.alignment.merge import WordAlignment
    from nmt.alignment.origin import Origin
    from nmt.decoding import Hypothesis, Translation

Format = Literal["text", "jsonl", "nbest"]


@dataclass(frozen=True)
class View:
    """How translations are shown."""

    layout: Format
    links: bool
    """Whether links stand beside the translation."""
    tokens: UnitMode
    threshold: float
    origin: "Origin"
    has_several: bool = False
    """Whether more than the best hypothesis was asked for."""
    scores: bool = False
    """Whether JSON records have the scores of words."""

    def words(self, translation: "Translation", rank: int = 0) -> "WordAlignment":
        """The links of a hypothesis, the best unless told otherwise, that was aligned."""
        assert rank < len(translation.alignments), "the translator was not asked to align"
        return translation.alignments[rank].words(self.tokens, self.threshold)

    def lines(self, translation: "Translation", request: Request) -> list[str]:
        """Lines of plain text for what was asked for and its translation."""
        if self.layout == "jsonl":
            from nmt.alignment.formats import json_line

            return [""] if request.is_gap else [json_line(self._record(translation, request))]
        if self.layout == "nbest" and request.error:
            return []
        if self.layout == "nbest":
            return [self._ranked(translation, rank, request) for rank in range(len(translation.hypotheses))]
        if not self.links or not translation.num_parts:  # a blank line stays blank
            return [translation.text]
        return [f"{translation.text} ||| {self.pharaoh(translation)}"]

    def pharaoh(self, translation: "Translation", rank: int = 0) -> str:
        """The links of a hypothesis as Pharaoh writes them."""
        return format_pharaoh(set(self.words(translation, rank).links))

    def _ranked(self, translation: "Translation", rank: int, request: Request) -> str:
        """A line of Moses' n-best list, at its end the links if they are wanted."""
        hypothesis = translation.hypotheses[rank]
        links = [self.pharaoh(translation, rank)] if self.links else []
        return " ||| ".join([str(request.number), hypothesis.text, f"{hypothesis.score:.6f}", *links])

    def alignment_lines(self, translation: "Translation", chosen: LinkFormat, request: Request) -> list[str]:
        """The links of the best hypothesis as in a file of links."""
        from nmt.alignment.formats import format_record, format_soft, link_lines

        words = self.words(translation)
        if chosen == "soft":
            return [format_soft(translation.alignments[0].matrix(self.tokens))]
        if chosen == "jsonl":
            return [format_record(words, self.origin)]
        return link_lines(words.links, chosen, number=request.number + 1)

    def show(self, translation: "Translation") -> None:
        """Show a translation and its table to a person."""
        out.print(visible(out, translation.text), style="bold", markup=False, soft_wrap=True)
        if translation.num_parts:
            out.print(draw_table(out, self.words(translation), caption=str(self.origin)), "")

    def _record(self, translation: "Translation", request: Request) -> dict[str, Any]:
        """The fields that came with the text, in their order, with ours; only an `id` stays as it was."""
        from nmt.alignment.formats import alignment_record

        record = {**request.fields, "id": request.fields.get("id", request.number)}
        if request.error:
            return record | {"error": request.error}
        record = without_outcomes(record)
        record |= {"src": translation.source, **self._scores(translation.hypotheses[0])}
        if self.has_several:
            record["hypotheses"] = [
                self._hypothesis(translation, rank) for rank in range(len(translation.hypotheses))
            ]
        return record | alignment_record(self.words(translation), self.origin) if self.links else record

    def _hypothesis(self, translation: "Translation", rank: int) -> dict[str, Any]:
        """One of several, with its links if they are wanted."""
        from nmt.alignment.formats import links_record

        links = links_record(self.words(translation, rank)) if self.links else {}
        return self._scores(translation.hypotheses[rank]) | links

    def _scores(self, hypothesis: "Hypothesis") -> dict[str, Any]:
        return hypothesis_record(hypothesis, self.tokens if self.scores else None)


def hypothesis_record(hypothesis: "Hypothesis", words: UnitMode | None = None) -> dict[str, Any]:
    """A text with its scores; with `words`, also [start, end, log P] of each of them."""
    record: dict[str, Any] = {
        "tgt": hypothesis.text,
        "score": round(hypothesis.score, 6),
        "log_prob": round(hypothesis.log_prob, 6),
    }
    if hypothesis.utility is not None:
        record["utility"] = round(hypothesis.utility, 6)
    if words:
        each = hypothesis.word_scores(words)
        record["word_scores"] = [[*word.span, round(word.log_prob, 6)] for word in each]
    return record


class Sinks:
    """Where translations and alignments are written: stdout, or files that appear once they are whole."""

    def __init__(self, output_path: Path | None, align_path: Path | None) -> None:
        self.output_path = None if output_path == STDIN else output_path
        self.align_path = align_path
        self.is_stdout = self.output_path is None
        self.output: BinaryIO = sys.stdout.buffer
        self.alignments: BinaryIO | None = None
        self.needs_legend: bool | None = None
        """Whether tables stand unexplained; None before the first table."""
        self._num_written = 0
        self._files = ExitStack()

    def __enter__(self) -> "Sinks":
        if self.output_path:
            self.output = self._files.enter_context(atomic_file(self.output_path))
        if self.align_path:
            self.alignments = self._files.enter_context(atomic_file(self.align_path))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if error and self.is_stdout and not is_terminal():
            error.add_note(f"{counted(self._num_written, 'line')} written")
        return self._files.__exit__(kind, error, trace)

    def write(self, translation: "Translation", view: View, request: Request) -> None:
        """Write what one line became."""
        if view.links and view.layout == "text" and self.is_stdout and is_terminal():
            view.show(translation)
            self.needs_legend = self.needs_legend is None or self.needs_legend
        else:
            for line in view.lines(translation, request):
                with whole_lines:
                    write_all(self.output, line)
                    self._num_written += 1
        if self.alignments and self.align_path:
            for line in view.alignment_lines(translation, format_of_ending(self.align_path), request):
                write_whole(self.alignments, line)

    def explain(self) -> None:
        """Show what the signs of the tables mean, once, if there was a table."""
        if self.needs_legend:
            out.print(draw_legend(out), "")
            self.needs_legend = False

    def flush(self) -> None:
        """Let who waits for a line have it."""
        self.output.flush()
