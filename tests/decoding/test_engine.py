"""Searching where memory ends, where something breaks, and where somebody has had enough."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor

from nmt.checkpoint import TranslationModel
from nmt.config import DecodingConfig
from nmt.decoding import Found, Rules, Sentence, engine, search
from nmt.decoding.engine import Engine, choose_precision
from nmt.errors import ConfigError, ResourceError
from nmt.model import IncrementalDecoder, packing
from nmt.model.encoded import EncodedSources
from nmt.model.packed_linear import PackedLinear
from nmt.model.packing import Packer
from nmt.processes import can_copy
from nmt.tokenizer import BOS_ID, EOS_ID

LIMIT = 6
OUT_OF_MEMORY = (
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB, other allocations: 1.00 GB)"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
)


def rules(**options: object) -> Rules:
    return Rules(BOS_ID, EOS_ID, banned=(0, 1, BOS_ID), **{"beam_size": 2, **options})  # type: ignore[arg-type]


def sentences(model: TranslationModel, lines: Sequence[str]) -> list[Sentence]:
    return [Sentence(model.src_tokenizer.encode(line), max_length=LIMIT) for line in lines]


LINES = ["Der Hund schläft.", "Ja!", "Die kleine Katze sieht den Hund.", "Wir gehen", "Apfelbaum im Garten"]


def test_weights_are_made_ready_once_for_few_rows_and_once_for_many(
    tiny_model: TranslationModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_model.config.model
    monkeypatch.setattr(packing, "SMALL_PRODUCT", 3 * config.d_model * config.d_ff)
    prepare = Mock(wraps=Packer("float32").pack)
    searching, given = Engine([tiny_model], DecodingConfig(precision="float32")), sentences(tiny_model, LINES)
    monkeypatch.setattr(searching._packer, "pack", prepare)
    alone = [searching.find([sentence], rules(beam_size=3))[0] for sentence in given]
    together = searching.find(given, rules(beam_size=3))
    searching.find(given, rules(beam_size=3))
    assert [call.kwargs["num_rows"] for call in prepare.call_args_list] == [3, None]
    assert [[each.tokens for each in found] for found in alone] == [
        [each.tokens for each in found] for found in together
    ]


@pytest.mark.parametrize("beam_size", [1, 2, 3, 5])
def test_a_single_sentence_is_searched_with_plain_layers_and_a_packed_output(
    tiny_model: TranslationModel, monkeypatch: pytest.MonkeyPatch, beam_size: int
) -> None:
    """As many rows as have small products of the layers; the output layer has more weights."""
    config = tiny_model.config.model
    widest = max(3 * config.d_model, config.d_ff)
    assert widest < tiny_model.tgt_tokenizer.vocab_size
    monkeypatch.setattr(packing, "SMALL_PRODUCT", beam_size * config.d_model * widest)
    used: list[IncrementalDecoder] = []
    step = IncrementalDecoder.step

    def watched(decoder: IncrementalDecoder, parents: Tensor, tokens: Tensor) -> Tensor:
        used.append(decoder)
        return step(decoder, parents, tokens)

    monkeypatch.setattr(IncrementalDecoder, "step", watched)
    Engine([tiny_model], DecodingConfig()).find(sentences(tiny_model, LINES[:1]), rules(beam_size=beam_size))
    network = used[0].network
    for layers in (network.encoder, network.decoder):
        assert not any(isinstance(each, PackedLinear) for each in layers.modules())
    assert isinstance(network.out_proj, torch.nn.Linear if beam_size == 1 else PackedLinear)


@pytest.fixture
def limit_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[int, int]]]:
    """Let memory end for so many rows, or so long a source; the rows and longest source of every attempt."""

    def limit(
        *, rows: int = 1000, src_tokens: int = 1000, error: BaseException = OUT_OF_MEMORY[1]
    ) -> list[tuple[int, int]]:
        seen: list[tuple[int, int]] = []

        class Limited(IncrementalDecoder):
            longest = 0

            def admit(self, sources: Sequence[list[int]]) -> None:
                self.longest = max(self.longest, *map(len, sources))
                super().admit(sources)

            def step(self, parents: Tensor, tokens: Tensor) -> Tensor:
                seen.append((len(parents), self.longest))
                if len(parents) > rows or self.longest > src_tokens:
                    raise error
                return super().step(parents, tokens)

        monkeypatch.setattr(engine, "IncrementalDecoder", Limited)
        return seen

    return limit


@pytest.fixture
def two_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def tokens_of(found: list[list[Found]]) -> list[list[int]]:
    return [one.tokens for [one] in found]


# Where memory ends


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["cpu", "python", "gpu", "mps", "cublas"])
@pytest.mark.parametrize("most", [2, 3, 7])
def test_fewer_rows_are_searched_where_memory_ends(
    tiny_model: TranslationModel, limit_memory, most: int, error: BaseException
) -> None:
    some = sentences(tiny_model, LINES)
    expected = Engine([tiny_model], DecodingConfig()).find(some, rules())
    seen = limit_memory(rows=most, error=error)
    heard: list[int] = []
    found = Engine([tiny_model], DecodingConfig(batch_rows=16)).find(some, rules(), on_progress=heard.append)
    assert tokens_of(found) == tokens_of(expected)
    assert sum(heard) == len(LINES)  # no sentence twice
    assert max(seen)[0] > most


def test_a_sentence_that_does_not_fit_is_searched_in_halves_cut_between_words(
    tiny_model: TranslationModel, limit_memory
) -> None:
    line, tokenizer = LINES[0], tiny_model.src_tokenizer
    first, second = sentences(tiny_model, ["Der Hund", "schläft."])
    whole = sentences(tiny_model, [line])[0]
    assert whole.source == [*first.source, *second.source]
    ours = Engine([tiny_model], DecodingConfig())
    expected = ours.find([first, second], rules())
    limit_memory(src_tokens=max(len(first.source), len(second.source)))
    heard: list[int] = []
    [other], [one] = ours.find([*sentences(tiny_model, ["Ja!"]), whole], rules(), on_progress=heard.append)
    assert other.num_parts == 1
    assert one.num_parts == 2
    halves = [half for [half] in expected]
    assert one.tokens == [token for half in halves for token in half.tokens]
    assert one.log_prob == pytest.approx(sum(half.log_prob for half in halves), abs=1e-4)
    assert sum(one.token_log_probs) == pytest.approx(one.log_prob, abs=1e-4)
    assert one.score == pytest.approx(one.log_prob / (len(one.tokens) + 2), abs=1e-5)
    assert sum(heard) == 2
    assert tokenizer.decode(whole.source) == line


def test_halves_share_the_least_length(tiny_model: TranslationModel, limit_memory) -> None:
    whole = replace(sentences(tiny_model, [LINES[0]])[0], min_length=10)
    longest_half = len(sentences(tiny_model, ["schläft."])[0].source)
    limit_memory(src_tokens=max(longest_half, len(whole.source) - longest_half))
    [[one]] = Engine([tiny_model], DecodingConfig()).find([whole], rules())
    assert one.num_parts == 2
    assert 10 <= len(one.tokens) <= 2 * LIMIT


def test_halves_are_halved_again(tiny_model: TranslationModel, limit_memory) -> None:
    limit_memory(src_tokens=2)
    some = sentences(tiny_model, LINES)
    for sentence, [one] in zip(some, Engine([tiny_model], DecodingConfig()).find(some, rules()), strict=True):
        assert len(sentence.source) / 2 <= one.num_parts <= len(sentence.source)


def test_a_piece_that_does_not_fit_is_an_error(tiny_model: TranslationModel, limit_memory) -> None:
    limit_memory(rows=0)
    with pytest.raises(ResourceError, match="out of memory: not even a single piece"):
        Engine([tiny_model], DecodingConfig()).find(sentences(tiny_model, LINES), rules())


def test_other_errors_are_not_taken_for_a_lack_of_memory(tiny_model: TranslationModel, limit_memory) -> None:
    seen = limit_memory(rows=0, error=RuntimeError("mat1 and mat2 do not fit"))
    with pytest.raises(RuntimeError, match="mat1"):
        Engine([tiny_model], DecodingConfig()).find(sentences(tiny_model, LINES), rules())
    assert len(seen) == 1


# Several threads


def many(model: TranslationModel) -> list[Sentence]:
    return sentences(model, 100 * LINES)


@pytest.mark.usefixtures("two_cores")
def test_an_error_in_one_thread_ends_the_other(tiny_model: TranslationModel) -> None:
    finished: list[int] = []

    def fail_once(_: int) -> None:
        finished.append(threading.get_ident())
        if len(finished) == 5:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Engine([tiny_model], DecodingConfig(batch_rows=8)).find(
            many(tiny_model), rules(), on_progress=fail_once
        )
    time.sleep(0.3)  # for a thread that had not heard of it
    assert len(finished) < 20
    assert torch.get_num_threads() == 2


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """A shell that starts something in the background lets it ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("two_cores", "heeds_ctrl_c")
@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads")
def test_ctrl_c_ends_all_threads(tiny_model: TranslationModel) -> None:
    finished: list[int] = []

    def interrupt(count: int) -> None:
        finished.append(count)
        if len(finished) == 5:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.05)

    with pytest.raises(KeyboardInterrupt):
        Engine([tiny_model], DecodingConfig(batch_rows=8)).find(
            many(tiny_model), rules(), on_progress=interrupt
        )
    time.sleep(0.3)
    number = len(finished)
    assert number < 100
    time.sleep(0.1)
    assert len(finished) == number


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("num_sentences", [1, 31, 32, 500])
def test_as_many_threads_search_as_have_enough_to_do(
    tiny_model: TranslationModel, num_sentences: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = 2 if 2 * num_sentences >= 64 else 1
    threads, all_of_them = set[int](), threading.Barrier(expected, timeout=20)

    def search_together(*arguments: Any) -> Iterator[tuple[int, list[Found]]]:
        threads.add(threading.get_ident())
        all_of_them.wait()  # or one could be done before another begins, and do its share
        return search(*arguments)

    monkeypatch.setattr(engine, "search", search_together)
    Engine([tiny_model], DecodingConfig()).find(many(tiny_model)[:num_sentences], rules())
    assert len(threads) == expected


# Several processes


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize(("small", "num_cores"), [(1, 1), (0, 2)])
def test_all_cores_work_on_a_sentence_alone_if_its_products_are_large(
    tiny_model: TranslationModel, monkeypatch: pytest.MonkeyPatch, small: int, num_cores: int
) -> None:
    config = tiny_model.config.model
    monkeypatch.setattr(packing, "SMALL_PRODUCT", small * 2 * config.d_model * config.d_ff)
    used: list[int] = []
    step = IncrementalDecoder.step

    def watched(decoder: IncrementalDecoder, parents: Tensor, tokens: Tensor) -> Tensor:
        used.append(torch.get_num_threads())
        return step(decoder, parents, tokens)

    monkeypatch.setattr(IncrementalDecoder, "step", watched)
    Engine([tiny_model], DecodingConfig()).find(sentences(tiny_model, LINES[:1]), rules())
    assert set(used) == {num_cores}
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_cores")
@pytest.mark.skipif(not can_copy(), reason="processes are not copied here")
def test_processes_find_what_threads_find(tiny_model: TranslationModel) -> None:
    some = many(tiny_model)[:200]
    heard: list[int] = []
    encoded, expected_states = EncodedSources(), EncodedSources()
    expected = Engine([tiny_model], DecodingConfig()).find(some, rules(), encoded=expected_states)
    searching = Engine([tiny_model], DecodingConfig(), processes=True)
    assert searching.find(some, rules(), on_progress=heard.append, encoded=encoded) == expected
    assert sum(heard) == 200
    for each in some[:5]:
        kept, states = encoded.get(each.source), expected_states.get(each.source)
        assert kept is not None
        assert states is not None
        assert torch.equal(kept, states)


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("num_sentences", [127, 128])
def test_processes_are_for_many_sentences(
    tiny_model: TranslationModel, num_sentences: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Mock(wraps=engine.in_copies)
    monkeypatch.setattr(engine, "in_copies", counted)
    Engine([tiny_model], DecodingConfig(), processes=True).find(many(tiny_model)[:num_sentences], rules())
    assert counted.call_count == (1 if num_sentences >= 128 and can_copy() else 0)


@pytest.mark.usefixtures("two_cores")
@pytest.mark.skipif(not can_copy(), reason="processes are not copied here")
def test_what_a_killed_process_would_have_found_is_found(
    tiny_model: TranslationModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, some = os.getpid(), many(tiny_model)[:200]
    expected = Engine([tiny_model], DecodingConfig()).find(some, rules())

    class Killed(IncrementalDecoder):
        num_steps = 0

        def step(self, parents: Tensor, tokens: Tensor) -> Tensor:
            self.num_steps += 1
            if os.getpid() != parent and self.num_steps == 10:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().step(parents, tokens)

    monkeypatch.setattr(engine, "IncrementalDecoder", Killed)
    heard: list[int] = []
    searching = Engine([tiny_model], DecodingConfig(batch_rows=40), processes=True)
    assert tokens_of(searching.find(some, rules(), on_progress=heard.append)) == tokens_of(expected)
    assert sum(heard) == 200


@pytest.mark.usefixtures("two_cores")
def test_an_error_in_a_process_is_raised(tiny_model: TranslationModel, limit_memory) -> None:
    limit_memory(rows=0, error=RuntimeError("mat1 and mat2 do not fit"))
    searching = Engine([tiny_model], DecodingConfig(), processes=True)
    with pytest.raises(RuntimeError, match="mat1"):
        searching.find(many(tiny_model), rules())


@pytest.mark.usefixtures("two_cores")
def test_memory_can_end_in_a_process_with_many_rows_for_a_sentence(
    tiny_model: TranslationModel, limit_memory
) -> None:
    some, wide = many(tiny_model)[:130], rules(beam_size=32)
    expected = Engine([tiny_model], DecodingConfig()).find(some[:5], wide)
    torch.rand(400, 400) @ torch.rand(400, 400)  # with threads that copies do not have
    limit_memory(src_tokens=max(len(each.source) for each in some) - 1)
    found = Engine([tiny_model], DecodingConfig(), processes=True).find(some, wide)
    parts = [one[0].num_parts for one in found]
    assert parts == 26 * [max(1, each) for each in parts[:5]]
    assert max(parts) == 2
    whole = [index for index in range(5) if parts[index] == 1]
    assert [found[index][0].tokens for index in whole] == [expected[index][0].tokens for index in whole]


@pytest.mark.usefixtures("two_cores")
def test_what_is_found_stands_in_the_order_of_the_sentences(tiny_model: TranslationModel) -> None:
    found = tokens_of(Engine([tiny_model], DecodingConfig()).find(many(tiny_model), rules()))
    assert found == 100 * found[:5]


def test_no_sentences_are_found_at_once(tiny_model: TranslationModel) -> None:
    assert Engine([tiny_model], DecodingConfig()).find([], rules()) == []


# Precision


def test_the_precision_is_the_one_that_the_device_is_best_at(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert choose_precision(DecodingConfig(), cpu) == "float32"
    for has_bfloat16, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", Mock(return_value=has_bfloat16))
        assert choose_precision(DecodingConfig(), gpu) == expected
    assert choose_precision(DecodingConfig(precision="bfloat16"), cpu) == "bfloat16"
    with pytest.raises(
        ConfigError, match=r"decoding.precision is int8, which torch does not have on this cuda"
    ):
        choose_precision(DecodingConfig(precision="int8"), gpu)
    monkeypatch.setattr(engine, "choose_largest_weight", lambda: None)
    with pytest.raises(ConfigError, match=r"int8, which torch does not have on this cpu; use auto"):
        choose_precision(DecodingConfig(precision="int8"), cpu)
