"""Translates lines of text: pieces, batches, search, text again, in the order of the lines."""

import math
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Self

from nmt.alignment import Linker
from nmt.checkpoint import TranslationModel, load_model
from nmt.config import from_dict
from nmt.config.schema import DecodingConfig
from nmt.corpus.context import LinePair, before, cut_contexts, in_context
from nmt.decoding.alternatives import Option, next_options
from nmt.decoding.engine import Engine, OnProgress
from nmt.decoding.ensemble import check_ensemble
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.lines import LINE_END_PIECES, LinePlan, join_parts, plan_lines
from nmt.decoding.mbr import by_utility
from nmt.decoding.requests import EXTRA_LENGTH, Request, RequestReader
from nmt.decoding.rules import Rules, Sampling, Sentence
from nmt.decoding.scoring import LineAndTarget, Scored, score_pairs
from nmt.decoding.search import Found
from nmt.decoding.shortlist import Shortlist
from nmt.decoding.translation import Alternative, RequestError, Translation
from nmt.decoding.windows import full_windows
from nmt.errors import ConfigError, DataError, UsageError
from nmt.model.encoded import EncodedSources
from nmt.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID

OnRefused = Callable[[int, str], None]
"""Hears the number, from 0, of a line that has no translation as was asked, and why."""


class Translator:
    """A model, or several that share a tokenizer, with a way to search; threads may share a translator.

    >>> from nmt import Translator
    >>> translator = Translator.load("demo-model", beam_size=4)
    >>> translations = translator.translate(["Guten Morgen!", ""])
    >>> best = translations[0].hypotheses[0]
    >>> best.text == translations[0].text, best.log_prob < best.score < 0, translations[1].text
    (True, True, '')
    """

    def __init__(
        self,
        models: TranslationModel | Sequence[TranslationModel],
        config: DecodingConfig,
        *,
        align: bool = False,
        align_all: bool = False,
        nbest: int = 1,
        to: str | None = None,
        context: bool = True,
        processes: bool = False,
    ) -> None:
        """Find the `nbest` best translations of a line, or all of `config.samples`, if that is not 0.

        With `align` the best of them is aligned, with `align_all` every one. Several models give the mean of
        their probabilities; alignments are those of the first. `to` is the target language of models that
        have several. Lines have those before them as their `context`, if models were trained so. With
        `processes` copies of this process, not threads, work on many lines, which is faster on several cores
        of a CPU; only for programs in which no other thread computes meanwhile, and only where the system is
        Linux. Raises ConfigError if tokenizers, directions or contexts of the models differ, or if `nbest` is
        more than the beam holds; UsageError if there is no such language, or nothing to make links with.
        """
        if nbest < 1:
            raise ConfigError(f"{nbest} hypotheses: expected 1 or more")
        if not config.samples and nbest > config.beam_size:
            raise ConfigError(
                f"{nbest} hypotheses do not fit into a beam of {config.beam_size}; give --beam {nbest}"
            )
        self.models = (models,) if isinstance(models, TranslationModel) else tuple(models)
        check_ensemble(self.models)
        self.model = self.models[0]
        self.direction = self.model.direction(to)
        self.config = config
        self.context_size = self.model.config.data.context if context else 0
        self.align, self.align_all = align or align_all, align_all
        self._linker = None
        if self.align:
            links_from = self.model.config.alignment.source
            self._linker = Linker(self.model, links_from=links_from, direction=self.direction)
        self.longest = min(model.config.data.max_length for model in self.models)
        banned = _banned_ids(self.model)
        shortlist = None
        if config.shortlist:
            sizes = {"size": config.shortlist, "num_common": config.shortlist_common}
            shortlist = Shortlist.of(self.model, self.direction, banned=banned, **sizes)
        self.engine = Engine(self.models, config, shortlist, processes=processes)
        self.rules = Rules(
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            banned=banned,
            beam_size=config.beam_size,
            length_penalty=config.length_penalty,
            nbest=config.samples or nbest,
            sampling=_sampling(config) if config.samples else None,
            prune=config.prune,
            no_repeat_ngram=config.no_repeat_ngram,
            coverage_penalty=config.coverage_penalty,
            device=self.model.device,
        )
        self._requests = RequestReader(
            self.model.tgt_tokenizer, banned=self.rules.banned, forbid=config.forbid
        )

    @classmethod
    def load(
        cls,
        *paths: str | Path,
        device: str = "auto",
        threads: int = 0,
        align: bool = False,
        align_all: bool = False,
        nbest: int = 1,
        to: str | None = None,
        context: bool = True,
        processes: bool = False,
        **options: bool | int | float | str,
    ) -> Self:
        """Load a model folder, or several as an ensemble.

        `device` is auto, cpu, cuda or mps; `threads` are those of the CPU, for the whole process, 0: all;
        `to` is a language, such as "de", for models that translate into several; without `context` a model
        for documents translates each line alone; `processes` are for programs with one thread, see above;
        `options` are those of DecodingConfig, such as `beam_size=4`, by default the first model's. Raises
        UsageError if there is no such folder, language or option, ModelError if a folder is damaged.

        >>> translator = Translator.load("demo-model", nbest=2, align_all=True)
        >>> translation = translator.translate(["Der Hund schläft im Garten."])[0]
        >>> [one.target for one in translation.alignments] == [one.text for one in translation.hypotheses]
        True
        """
        if not paths:
            raise UsageError("there is no model to load; give the path of a model folder")
        has_links = align or align_all
        models = [
            load_model(Path(path), device=device, threads=threads, with_links=has_links and path is paths[0])
            for path in paths
        ]
        stored = asdict(models[0].config)
        config = from_dict(stored | {"decoding": stored["decoding"] | options}).decoding
        return cls(
            models,
            config,
            align=align,
            align_all=align_all,
            nbest=nbest,
            to=to,
            context=context,
            processes=processes,
        )

    def stream(self, lines: Iterable[str]) -> Iterator[Translation]:
        """Translations in the order of the lines, of which no more than `config.window` are read ahead.

        Models for documents see the lines before each, up to a blank one.

        >>> lines = (line.strip() for line in ["Ja!\\n", "\\n"])  # such as an open file gives
        >>> [translation.source for translation in translator.stream(lines)]
        ['Ja!', '']
        """
        for window in full_windows(in_context(lines, self.context_size), self.config.window):
            yield from self.translate([line.text for line in window], [line.context for line in window])

    def score(
        self, pairs: Iterable[LineAndTarget], contexts: Iterable[Sequence[str]] | None = None
    ) -> Iterator[Scored]:
        """Scores of translations that are already there, in the order of the pairs and in constant memory.

        A target is a line, which is cut into pieces as the tokenizer does it, or a hypothesis, whose own
        tokens are scored. What a search found has the same text cut otherwise now and then: then the score of
        the line is another, that of the hypothesis is the one it was found with. Always computed with the
        weights as they are stored, in float32 on a CPU, of all pieces, and in one piece: of a line that was
        translated in parts, with a shortlist or a coverage penalty, or in bfloat16 or int8, the score is
        another. A blank source and pairs with a side of more than 1,024 pieces have no scores. `contexts` are
        as in `translate`.

        >>> scored = next(translator.score([("Der Hund schläft.", "The dog is sleeping.")]))
        >>> [scored.target[slice(*word.span)] for word in scored.hypothesis.word_scores()]
        ['The', 'dog', 'is', 'sleeping', '.']
        """
        return score_pairs(
            self.models,
            pairs,
            contexts,
            context_size=self.context_size,
            direction=self.direction,
            rules=self.rules,
            window=self.config.window,
            batch_tokens=self.config.batch_tokens,
        )

    def translate(
        self,
        lines: Sequence[str],
        contexts: Sequence[Sequence[str]] | None = None,
        *,
        prefixes: Sequence[str] | None = None,
        forbid: Sequence[Sequence[str]] | None = None,
        require: Sequence[Sequence[str]] | None = None,
        on_progress: OnProgress | None = None,
        on_refused: OnRefused | None = None,
    ) -> list[Translation]:
        """Translations in the order of the lines; a blank line stays blank, `config.on_long` rules the long.

        `contexts` are, for models for documents, the lines before each, the nearest last; by default they are
        taken from `lines`, in which a blank one begins another document. A part of a long line sees the parts
        before it, too. Also of each line: what its translation begins with, phrases that are not in it, and
        phrases that are; see `Request`. `on_progress` hears how many more sentences are done, from whichever
        thread finished them. Raises RequestError if what is asked of a line can not be written or contradicts
        itself, or if a line is too long and that is to be an error, before anything is translated, and if no
        translation of a line was found that is as asked. With `on_refused` that is no error: it hears of the
        line, whose translation is then blank. Raises TypeError where a text stands for a list of them.
        """
        texts = (lines, prefixes, *(contexts or ()), *(forbid or ()), *(require or ()))
        if any(isinstance(each, str) for each in texts):
            raise TypeError("found a text where a list of texts is expected")
        given = [each for each in (contexts, prefixes, forbid, require) if each is not None]
        if any(len(each) != len(lines) for each in given):
            raise ValueError("contexts, prefixes, forbid and require go with the lines, one for each")
        if contexts is None:
            contexts = [line.context for line in in_context(lines, self.context_size)]
        none = [()] * len(lines)
        asked = zip(prefixes or [""] * len(lines), forbid or none, require or none, strict=True)
        requests = [Request(prefix, tuple(without), tuple(having)) for prefix, without, having in asked]
        plans = self._plan(lines)

        def refuse(index: int, reason: str) -> None:
            if on_refused is None:
                raise RequestError(index, reason)
            on_refused(index, reason)
            plans[index] = LinePlan(lines[index], [], [], 0)

        sentences: list[list[Sentence]] = []
        for index, (request, context) in enumerate(zip(requests, self._cut(contexts), strict=True)):
            try:
                sentences.append(self._sentences(plans[index], request, context))
            except DataError as error:
                refuse(index, str(error))
                sentences.append([])
        encoded = self._kept_for_links()
        every = [one for each in sentences for one in each]
        found = iter(self.engine.find(every, self.rules, on_progress=on_progress, encoded=encoded))
        translations: list[Translation] = []
        for index, own in enumerate(sentences):
            of_parts = [next(found) for _ in own]
            if not all(of_parts):
                refuse(index, "no translation was found that has all that is required, nothing forbidden")
            translations.append(self._translation(plans[index], of_parts))
        if self._linker is None:
            return translations
        return self._aligned(self._linker, plans, contexts, translations, encoded)

    def alternatives(
        self,
        line: str,
        prefix: str = "",
        *,
        count: int = 5,
        context: Sequence[str] = (),
        forbid: Sequence[str] = (),
        require: Sequence[str] = (),
    ) -> tuple[Alternative, ...]:
        """The `count` likeliest pieces after the beginning of a translation, the likeliest first.

        The translation begins with the pieces that `prefix` is cut into. So the next one may also continue
        its last word; not if `prefix` ends in white space, for then a new word begins. Of a prefix that ends
        within a word the pieces are often none that the word as a whole is cut into: what completes it is
        then less likely than it would be. `forbid` and `require` are as in `translate`. A blank line has no
        alternatives. Raises RequestError for a line that would be split, and if what is asked can not be
        written or contradicts itself.
        """
        plan = self._plan([line])[0]
        if not plan.num_pieces:
            return ()
        (lines,) = self._cut([context])
        try:
            if len(plan.parts) > 1:
                raise self._too_long(plan)
            (sentence,) = self._sentences(plan, Request(prefix, tuple(forbid), tuple(require)), lines)
        except DataError as error:
            raise RequestError(0, str(error)) from None
        options = next_options(self.engine, sentence, self.rules, count=count)
        return tuple(self._alternative(plan, len(sentence.prefix), option) for option in options)

    def _alternative(self, plan: LinePlan, place: int, option: Option) -> Alternative:
        tokenizer, translation = self.model.tgt_tokenizer, self._joined(plan, [option.found])
        rest = translation.text[len(tokenizer.decode(option.found.tokens[:place])) :]
        word = next(iter(rest.split()), "")
        return Alternative(tokenizer.piece(option.token), word, math.exp(option.log_prob), translation)

    def _plan(self, lines: Sequence[str]) -> list[LinePlan]:
        tokenizer, on_long = self.model.src_tokenizer, self.config.on_long
        return plan_lines(lines, tokenizer, longest=self.longest, on_long=on_long)

    def _cut(self, contexts: Sequence[Sequence[str]]) -> list[list[list[int]]]:
        """Contexts in pieces, as far as the models were trained with them."""
        if not self.context_size and any(contexts):
            raise UsageError("contexts are only for models that were trained with them (data.context)")
        return cut_contexts(contexts, self.model.src_tokenizer.encode_batch, size=self.context_size)

    def _sentences(self, plan: LinePlan, request: Request, context: list[list[int]]) -> list[Sentence]:
        """The parts of a line with what is asked of its translation; DataError if that can not be."""
        if plan.is_refused:
            raise self._too_long(plan)
        parts = [
            self._sentence(part, [*context, *plan.parts[:number]]) for number, part in enumerate(plan.parts)
        ]
        return self._requests.apply(request, parts, longest=self._most_places)

    def _too_long(self, plan: LinePlan) -> DataError:
        return DataError(f"{plan.num_pieces:,} pieces, expected at most {self.longest:,}; split the line")

    def _sentence(self, source: list[int], context: list[list[int]]) -> Sentence:
        seed = zlib.crc32(repr(source).encode(), self.config.seed) if self.rules.sampling else 0
        most, fewest = self._limit(len(source)), math.ceil(self.config.min_length_ratio * len(source))
        nearest = context[max(0, len(context) - self.context_size) :]
        return Sentence(
            source,
            max_length=most,
            min_length=min(fewest, most),
            seed=seed,
            before=(*self.direction.tag_ids, *before(nearest, self.longest - len(source))),
        )

    def _limit(self, num_pieces: int) -> int:
        """The most pieces that the translation of so many may have."""
        return min(int(self.config.max_length_ratio * num_pieces) + EXTRA_LENGTH, self._most_places)

    @property
    def _most_places(self) -> int:
        """The most pieces that all models have places for, beside EOS."""
        configs = (model.config.model for model in self.models)
        places = (config.max_positions - 1 for config in configs if config.positions == "learned")
        return min(places, default=sys.maxsize)

    def _translation(self, plan: LinePlan, found: list[list[Found]]) -> Translation:
        if not plan.parts:
            return Translation(plan.line, (Hypothesis("", 0.0, 0.0, []),))
        num_hypotheses = min(map(len, found))
        hypotheses = [self._joined(plan, [part[rank] for part in found]) for rank in range(num_hypotheses)]
        if self.config.mbr:
            hypotheses = by_utility(hypotheses)
        num_parts = sum(part[0].num_parts for part in found)
        return Translation(plan.line, tuple(hypotheses), plan.num_pieces, num_parts)

    def _joined(self, plan: LinePlan, found: list[Found]) -> Hypothesis:
        return join_parts(plan, found, self.model.tgt_tokenizer, self.rules)

    def _kept_for_links(self) -> EncodedSources | None:
        """For what the encoder makes of sources, if links are made of that too."""
        is_needed = self._linker is not None and self._linker.origin.source != "hmm"
        return EncodedSources() if is_needed and self.direction == self.model.directions[0] else None

    def _aligned(
        self,
        linker: Linker,
        plans: list[LinePlan],
        contexts: Sequence[Sequence[str]],
        translations: list[Translation],
        encoded: EncodedSources | None,
    ) -> list[Translation]:
        """With links to what was translated, which leaves out the end of a line that was cut off."""
        numbers = [len(one.hypotheses) if self.align_all else 1 for one in translations]
        pairs: list[LinePair] = [
            (plan.translated, hypothesis.text, tuple(context))
            for plan, context, translation, number in zip(plans, contexts, translations, numbers, strict=True)
            for hypothesis in translation.hypotheses[:number]
        ]
        alignments = linker.link([pairs], encoded)
        return [
            replace(
                translation,
                alignments=tuple(
                    one if one.source == translation.source else replace(one, source=translation.source)
                    for one in islice(alignments, number)
                ),
            )
            for translation, number in zip(translations, numbers, strict=True)
        ]


def _sampling(config: DecodingConfig) -> Sampling:
    return Sampling(config.temperature, top_k=config.top_k, top_p=config.top_p, min_p=config.min_p)


def _banned_ids(model: TranslationModel) -> tuple[int, ...]:
    tokenizer = model.tgt_tokenizer
    line_ends = (id for id in range(tokenizer.vocab_size) if tokenizer.piece(id) in LINE_END_PIECES)
    return (PAD_ID, UNK_ID, BOS_ID, *line_ends, *tokenizer.tags.values())
