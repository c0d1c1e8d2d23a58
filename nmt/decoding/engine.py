"""Searches many sentences at once: on all cores, and in smaller parts where memory runs out."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.alignment.attention import reading_layer
from nmt.checkpoint import TranslationModel
from nmt.config.schema import DecodingConfig
from nmt.decoding.ensemble import EnsembleDecoder
from nmt.decoding.hypothesis import join_log_probs
from nmt.decoding.rules import Rules, Sentence
from nmt.decoding.search import Decoder, Found, Room, search
from nmt.decoding.shortlist import Shortlist
from nmt.errors import ConfigError, ResourceError
from nmt.hardware import hand_back_freed_memory, is_out_of_memory
from nmt.model import IncrementalDecoder, Precision
from nmt.model.encoded import EncodedSources
from nmt.model.int8_linear import choose_largest_weight
from nmt.model.packing import Packer, are_products_small
from nmt.model.short_output import ShortOutput
from nmt.model.transformer import Transformer
from nmt.processes import Tell, can_copy, in_copies
from nmt.tokenizer import BOS_ID, SPACE
from nmt.workers import Workers

CPU_ROWS = 320
"""Hypotheses on a core: so many that weights, which come from memory at every step, are of use to many."""

GPU_ROWS = 4096

FEWEST_ROWS = 32  # for a core of its own; with fewer, all cores work on the same products if these are large
FEWEST_SENTENCES = 64  # for a process of its own, which takes some hundredths of a second to begin

OnProgress = Callable[[int], None]
KeepStates = Callable[[Sequence[list[int]], Tensor], None]
"""Takes sources, and what the encoder makes of them."""


@dataclass(frozen=True)
class _Searched:
    """Where to put what comes of a search."""

    keep: Callable[[int, list[Found]], None]  # the number of a sentence and its hypotheses
    keep_states: KeepStates | None


class Engine:
    """Networks made ready for searching together, for as many threads at once as there are."""

    def __init__(
        self,
        models: Sequence[TranslationModel],
        config: DecodingConfig,
        shortlist: Shortlist | None = None,
        *,
        processes: bool = False,
    ) -> None:
        """With a `shortlist` only what it has of a sentence comes in its translations.

        With `processes` copies of this one search where there is much to do; see `in_copies`.
        """
        model = models[0]
        self.precision = choose_precision(config, model.device)
        self._models = models
        self._packer = Packer(self.precision)
        self._packed: dict[int | None, list[Transformer]] = {}  # by the number of rows; None: many
        self._packing = threading.Lock()
        self._shortlist = shortlist
        self._outputs = [
            ShortOutput(each.network.out_proj, shortlist.shared, self.precision) if shortlist else None
            for each in models
        ]
        self._watched_layer = reading_layer(model) - 1 if config.coverage_penalty else None
        self._tokenizer = model.src_tokenizer
        self._device = model.device
        on_cpu = model.device.type == "cpu"
        self._room = Room(config.batch_rows or rows_at_once(model.device), config.batch_tokens)
        self._num_cores = torch.get_num_threads()
        self._most_workers = self._num_cores if on_cpu else 1
        self._processes = processes and can_copy() and self._most_workers > 1

    def find(
        self,
        sentences: Sequence[Sentence],
        rules: Rules,
        *,
        on_progress: OnProgress | None = None,
        encoded: EncodedSources | None = None,
    ) -> list[list[Found]]:
        """The `nbest` best hypotheses of every sentence; `on_progress` hears how many more are done.

        `encoded` takes what the first network makes of the sources, if that is in float32.
        Where memory runs out fewer are searched at once, and a sentence that does not even fit alone in
        halves. Raises ResourceError if not even a single piece can be translated.
        """
        found: list[list[Found]] = [[] for _ in sentences]
        by_length = sorted(range(len(sentences)), key=lambda i: (-len(sentences[i].src_tokens), i))
        left, lock = dict.fromkeys(by_length), threading.Lock()

        def keep(number: int, hypotheses: list[Found]) -> None:
            with lock:
                found[number] = hypotheses
                del left[number]
                if on_progress:
                    on_progress(1)

        searched = _Searched(keep, encoded.keep if encoded else None)
        if self._processes and len(sentences) >= self._num_cores * FEWEST_SENTENCES:
            self._find_in_processes(sentences, by_length, rules, searched)
        if left:
            self._find_in_threads(sentences, list(left), rules, searched)
        return found

    def _find_in_processes(
        self, sentences: Sequence[Sentence], numbers: list[int], rules: Rules, searched: _Searched
    ) -> None:
        """Search the sentences of these numbers in a process for each core; what one loses is not kept."""

        def find_share(share: list[int], tell: Tell) -> None:
            def keep(number: int, hypotheses: list[Found]) -> None:
                tell((number, hypotheses))

            def keep_states(sources: Sequence[list[int]], states: Tensor) -> None:
                tell((sources, states.numpy()))

            self._num_cores, self._most_workers, self._processes = 1, 1, False  # this is a copy
            telling = _Searched(keep, keep_states if searched.keep_states else None)
            self._find_share(sentences, share, rules, telling, threading.Event())

        shares = divide(numbers, self._num_cores)
        self._networks(len(shares[0]) * rules.width)  # the copies share what is packed now
        for name, what in in_copies(find_share, shares):
            if isinstance(name, int):
                searched.keep(name, what)
            elif searched.keep_states:
                searched.keep_states(name, torch.from_numpy(what))

    def _find_in_threads(
        self, sentences: Sequence[Sentence], numbers: list[int], rules: Rules, searched: _Searched
    ) -> None:
        """Search the sentences of these numbers, in a thread for each core if there is enough to do."""
        stopped = threading.Event()

        def find_share(share: list[int]) -> None:
            try:
                self._find_share(sentences, share, rules, searched, stopped)
            except BaseException:
                stopped.set()
                raise

        num_rows = len(numbers) * rules.width
        num_workers = max(1, min(self._most_workers, num_rows // FEWEST_ROWS))
        is_small = num_workers == 1 and are_products_small(self._models[0].network, num_rows)
        workers = Workers(num_workers, num_cores=self._num_cores, cores_each=1 if is_small else 0)
        try:
            workers.map(find_share, divide(numbers, num_workers))
        finally:
            stopped.set()
            workers.close()

    @torch.inference_mode()
    def next_log_probs(self, sentence: Sentence) -> Tensor:
        """Of every token, (V,), log P that it comes after the prefix of a sentence, shortlist or not."""
        # with the networks of the search that follows
        decoder = self._decoder([None] * len(self._models), num_rows=FEWEST_ROWS)
        decoder.admit([sentence.src_tokens])
        tokens = torch.tensor([BOS_ID, *sentence.prefix], device=self._device)
        for token in tokens:
            logits = decoder.step(torch.zeros_like(tokens[:1]), token[None])  # (1, V)
        return logits[0].log_softmax(-1)

    @torch.inference_mode()
    def _find_share(
        self,
        sentences: Sequence[Sentence],
        share: list[int],
        rules: Rules,
        searched: _Searched,
        stopped: threading.Event,
    ) -> None:
        """Search the sentences of one worker until they are done, or somebody says to stop."""
        left, room = dict.fromkeys(share), self._room
        num_rows = len(share) * rules.width
        while left and not stopped.is_set():
            tried = list(left)
            try:
                decoder = self._decoder(self._outputs, num_rows=num_rows, keep_states=searched.keep_states)
                some = [sentences[i] for i in tried]
                for number, hypotheses in search(decoder, some, rules, room, self._shortlist):
                    del left[tried[number]]
                    searched.keep(tried[number], hypotheses)
                    if stopped.is_set():
                        return
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # outside of the handler, where the error would keep the rows in memory
            if left and room.rows > rules.width:
                room = Room(max(rules.width, room.rows // 2), room.src_tokens // 2)
            elif left:
                first = next(iter(left))
                del left[first]
                searched.keep(first, self._find_in_halves(sentences[first], rules))

    def _decoder(
        self,
        outputs: Sequence[ShortOutput | None],
        *,
        num_rows: int,
        keep_states: KeepStates | None = None,
    ) -> Decoder:
        watched = [self._watched_layer, *[None] * (len(self._models) - 1)]
        decoders = [
            IncrementalDecoder(network, watched_layer=layer, output=output)
            for network, layer, output in zip(self._networks(num_rows), watched, outputs, strict=True)
        ]
        if self.precision == "float32":
            decoders[0].on_encoded = keep_states
        return decoders[0] if len(decoders) == 1 else EnsembleDecoder(decoders)

    def _networks(self, num_rows: int) -> list[Transformer]:
        """The networks, made ready for so many rows."""
        models, on_cpu = self._models, self._device.type == "cpu"
        is_few = on_cpu and self.precision == "float32" and are_products_small(models[0].network, num_rows)
        size = num_rows if is_few else None
        with self._packing:
            if size not in self._packed:
                self._packed[size] = [self._packer.pack(each.network, num_rows=size) for each in models]
                if on_cpu:  # copies of the process would each have their own of what was freed
                    hand_back_freed_memory()
        return self._packed[size]

    def _find_in_halves(self, sentence: Sentence, rules: Rules) -> list[Found]:
        """The hypotheses of a sentence, cut at the word that begins nearest to its middle."""
        source = sentence.source
        if len(source) <= 1:
            raise ResourceError(
                "out of memory: not even a single piece can be translated; try a smaller beam, fewer samples"
            )
        starts = (i for i in range(1, len(source)) if self._tokenizer.piece(source[i]).startswith(SPACE))
        middle = len(source) // 2
        cut = min(starts, key=lambda i: abs(i - middle), default=middle)
        demands = sentence.demands  # as strict as they have to be for one half without the other
        of_first = demands and replace(demands, goes_on=True)
        of_rest = demands and replace(demands, required=())
        shortest = round(sentence.min_length * cut / len(source))
        first_half = replace(sentence, source=source[:cut], min_length=shortest, demands=of_first)
        second_half = replace(
            sentence,
            source=source[cut:],
            min_length=sentence.min_length - shortest,
            prefix=(),
            after_prefix=(),
            demands=of_rest,
        )
        first, second = self.find([first_half, second_half], rules)
        return [_joined(*pair, rules) for pair in zip(first, second, strict=False)]


def divide(numbers: Sequence[int], num_shares: int) -> list[list[int]]:
    """The numbers in shares, each of which has some of the first and some of the last."""
    return [list(numbers[start::num_shares]) for start in range(num_shares)]


def choose_precision(config: DecodingConfig, device: torch.device) -> Precision:
    """The arithmetic for a device; ConfigError if it does not have what was asked for."""
    if config.precision == "auto":
        is_fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if is_fast else "float32"
    if config.precision == "int8" and not (device.type == "cpu" and choose_largest_weight()):
        raise ConfigError(
            f"decoding.precision is int8, which torch does not have on this {device.type}; use auto"
        )
    return config.precision


def rows_at_once(device: torch.device) -> int:
    """Hypotheses that are decoded together, unless a configuration says so."""
    return CPU_ROWS if device.type == "cpu" else GPU_ROWS


def _joined(first: Found, second: Found, rules: Rules) -> Found:
    """Two hypotheses as one; each brings the probability of its own end."""
    tokens, log_prob = [*first.tokens, *second.tokens], first.log_prob + second.log_prob
    each = join_log_probs((first.token_log_probs, second.token_log_probs))
    penalty = first.penalty + second.penalty
    score = rules.score(log_prob, len(tokens) + 2) + penalty
    return Found(tokens, log_prob, score, each, first.num_parts + second.num_parts, penalty)
