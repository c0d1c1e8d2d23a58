"""A tiny model with random weights: what it says is nonsense, how it is said must be right."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nmt.checkpoint import TranslationModel, build_network
from nmt.config import DecodingConfig
from nmt.corpus.splitting import split_line
from nmt.corpus.words import is_blank, word_spans
from nmt.decoding import RequestError, Room, Sentence, Translation, Translator, search
from nmt.decoding.lines import without_line_ends
from nmt.errors import ConfigError
from nmt.model.int8_linear import choose_largest_weight
from nmt.tokenizer import BOS_ID, EOS_ID

needs_int8 = pytest.mark.skipif(not choose_largest_weight(), reason="no products of bytes on this processor")
LINES = [
    "Der Hund schläft.",
    "",
    "Die kleine Katze sieht den großen Hund im Garten.",
    " \t\u00a0\u3000\u200b",
    "Wir gehen morgen nach Hause, wenn es nicht regnet.",
    "Ja!",
    "Der Apfelbaum im Garten meiner Großmutter blüht im Mai.",
    "😀 ありがとう </s> <unk> ▁ <0x0A>",
]


@pytest.fixture
def model(tiny_model: TranslationModel) -> TranslationModel:
    return tiny_model


def with_positions(model: TranslationModel, positions: str) -> TranslationModel:
    """A model like this one, of random weights, the same every time."""
    config = replace(model.config, model=replace(model.config.model, positions=positions))
    torch.manual_seed(1)
    network = build_network(config, model.src_tokenizer, model.tgt_tokenizer).eval()
    return replace(model, config=config, network=network)


def translator(model: TranslationModel, **options: object) -> Translator:
    nbest, align = options.pop("nbest", 1), options.pop("align", False)
    assert isinstance(nbest, int)
    return Translator(model, DecodingConfig(**options), nbest=nbest, align=bool(align))  # type: ignore[arg-type]


def forced_log_prob(model: TranslationModel, line: str, tokens: list[int]) -> float:
    source = torch.tensor([[*model.src_tokenizer.encode(line), EOS_ID]])
    target = torch.tensor([[BOS_ID, *tokens]])
    with torch.no_grad():
        states = model.network.decode(target, model.network.encode(source)).states
        log_probs = model.network.logits(states).log_softmax(-1)[0]  # (T + 1, V)
    return float(log_probs.gather(1, torch.tensor([*tokens, EOS_ID])[:, None]).sum())


@pytest.fixture
def use_cores() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def assert_same(some: Sequence[Translation], others: Sequence[Translation]) -> None:
    for one, other in zip(some, others, strict=True):
        assert one.source == other.source
        assert [each.text for each in one.hypotheses] == [each.text for each in other.hypotheses]
        for each, another in zip(one.hypotheses, other.hypotheses, strict=True):
            assert each.score == pytest.approx(another.score, abs=1e-4)


@pytest.mark.parametrize("positions", ["sinusoidal", "rotary"])
@pytest.mark.parametrize("beam_size", [1, 4])
def test_batched_equals_alone(tiny_model: TranslationModel, beam_size: int, positions: str) -> None:
    """In float32, with any number of rows and of pieces at once."""
    model = with_positions(tiny_model, positions)
    options = {"beam_size": beam_size, "nbest": beam_size, "max_length_ratio": 0.1}
    alone = [translator(model, **options).translate([line])[0] for line in LINES]
    for batch_rows, batch_tokens in ((1, 1), (0, 100), (7, 10_000), (0, 10_000)):
        limits = {"batch_rows": batch_rows, "batch_tokens": batch_tokens}
        assert_same(translator(model, **options, **limits).translate(LINES), alone)


@needs_int8
def test_in_int8_the_batch_matters_no_more_than_the_last_bits_of_attention(model: TranslationModel) -> None:
    """Products are exact and rows are scaled one by one; what is left is attention."""
    options = {"beam_size": 1, "max_length_ratio": 0.1, "precision": "int8"}
    together = translator(model, **options).translate(LINES)
    for line, one in zip(LINES, together, strict=True):
        [alone] = translator(model, **options).translate([line])
        assert one.hypotheses[0].score == pytest.approx(alone.hypotheses[0].score, rel=0.02)


@pytest.mark.parametrize("beam_size", [1, 4])
def test_on_two_cores_it_is_as_on_one(
    model: TranslationModel, beam_size: int, use_cores: Callable[[int], None]
) -> None:
    lines = 40 * LINES if beam_size == 1 else 10 * LINES  # enough for two threads
    found = []
    for num_cores in (1, 2):
        use_cores(num_cores)
        threads: set[int] = set()

        def hear(_: int, threads: set[int] = threads) -> None:
            threads.add(threading.get_ident())

        options = {"beam_size": beam_size, "max_length_ratio": 0.01}
        found.append(translator(model, **options).translate(lines, on_progress=hear))
        assert len(threads) == num_cores
        assert torch.get_num_threads() == num_cores
    assert_same(*found)


@pytest.mark.parametrize("precision", ["bfloat16", pytest.param("int8", marks=needs_int8)])
@pytest.mark.parametrize("beam_size", [1, 4])
def test_fewer_bits_are_close(model: TranslationModel, precision: str, beam_size: int) -> None:
    """What they find has nearly the probability that they say, and is nearly as good as in float32."""
    options = {"beam_size": beam_size, "max_length_ratio": 0.1}
    exact = translator(model, **options).translate(LINES)
    for one, best in zip(
        translator(model, **options, precision=precision).translate(LINES), exact, strict=True
    ):
        if one.num_parts:
            expected = forced_log_prob(model, one.source, one.hypotheses[0].tokens)
            assert one.hypotheses[0].log_prob == pytest.approx(expected, rel=0.02, abs=0.1)
            assert one.hypotheses[0].score == pytest.approx(best.hypotheses[0].score, rel=0.1)


def test_the_order_of_the_lines_does_not_matter(model: TranslationModel) -> None:
    greedy = translator(model, beam_size=1)
    shuffled = random.Random(1).sample(LINES, len(LINES))
    by_line = {one.source: one.text for one in greedy.translate(LINES)}
    assert [one.text for one in greedy.translate(shuffled)] == [by_line[line] for line in shuffled]


@pytest.mark.parametrize("beam_size", [1, 3])
def test_scores_are_those_of_forced_decoding(model: TranslationModel, beam_size: int) -> None:
    options = {"beam_size": beam_size, "nbest": beam_size, "length_penalty": 0.8}
    for translation in translator(model, **options).translate(LINES):
        for one in translation.hypotheses if translation.num_parts else ():
            expected = forced_log_prob(model, translation.source, one.tokens)
            assert one.log_prob == pytest.approx(expected, abs=1e-4, rel=1e-6)  # sums of float32
            assert one.score == pytest.approx(expected / (len(one.tokens) + 1) ** 0.8, abs=1e-4)


@pytest.mark.parametrize("beam_size", [1, 4])
def test_what_is_kept_between_steps_changes_nothing(model: TranslationModel, beam_size: int) -> None:
    class Whole:
        """A decoder that reads everything again in every step."""

        def __init__(self, source: list[int]) -> None:
            self.source = torch.tensor([[*source, EOS_ID]])
            self.rows = torch.empty(1, 0, dtype=torch.int64)

        def admit(self, sources: Sequence[list[int]]) -> None:
            assert len(sources) == 1

        def step(self, parents: Tensor, tokens: Tensor) -> Tensor:
            self.rows = torch.cat([self.rows[parents], tokens[:, None]], dim=1)
            source = self.source.expand(len(self.rows), -1)
            return model.network.logits(model.network(source, self.rows)[:, -1])

    fast = translator(model, beam_size=beam_size, max_length_ratio=0.1)
    for line in (LINES[0], LINES[4]):
        ids = model.src_tokenizer.encode(line)
        sentence = Sentence(ids, max_length=int(0.1 * len(ids)) + 20)
        with torch.inference_mode():
            [(_, [slow])] = search(Whole(ids), [sentence], fast.rules, Room(100, 100))
        assert fast.translate([line])[0].hypotheses[0].tokens == slow.tokens


def test_blank_lines_stay_blank_and_never_reach_the_model(model: TranslationModel) -> None:
    blank = ["", " ", "\t", "\u00a0", "\u3000", "\u200b", " \u2028\ufeff"]
    seen: list[int] = []
    translations = translator(model).translate(blank, on_progress=seen.append)
    assert [one.text for one in translations] == [""] * len(blank)
    assert [one.source for one in translations] == blank
    assert seen == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=20), max_size=8
    )
)
def test_as_many_lines_come_out_as_go_in(model: TranslationModel, lines: list[str]) -> None:
    greedy = translator(model, beam_size=1, max_length_ratio=0.01, window=3)
    translations = list(greedy.stream(iter(lines)))
    assert [one.source for one in translations] == lines
    for one in translations:
        assert len(one.text.splitlines()) <= 1
        assert not (is_blank(one.source) and one.text)


def test_a_window_is_answered_before_the_next_is_read(model: TranslationModel) -> None:
    num_read = 0

    def lines() -> Iterator[str]:
        nonlocal num_read
        for number in range(12):
            num_read += 1
            yield f"Hund {number}"

    seen = []
    for translation in translator(model, beam_size=1, window=4, max_length_ratio=0.01).stream(lines()):
        seen.append((translation.source, num_read))
    assert seen == [(f"Hund {number}", 4 * (number // 4 + 1)) for number in range(12)]


def test_a_line_that_is_too_long_is_translated_in_parts(model: TranslationModel) -> None:
    data = replace(model.config.data, max_length=20)
    greedy = translator(replace(model, config=replace(model.config, data=data)), beam_size=1)
    line = f" {LINES[0]}\u3000{LINES[2]}  {LINES[4]}\t{LINES[6]}"
    [whole] = greedy.translate([line])
    spans = split_line(line, lambda text: model.src_tokenizer.encode_with_spans(text).spans, 20)
    parts = greedy.translate([line[start:end] for start, end in spans])
    gaps = [line[end:start] for (_, end), (start, _) in pairwise(spans)]
    assert whole.text == "".join(part.text + gap for part, gap in zip(parts, [*gaps, ""], strict=True))
    assert {"\u3000", "  "} <= set(gaps)
    assert whole.num_parts == len(spans) > 4
    assert whole.num_pieces == len(model.src_tokenizer.encode(line)) > 20
    log_probs = [part.hypotheses[0].log_prob for part in parts]
    assert whole.hypotheses[0].log_prob == pytest.approx(sum(log_probs), abs=1e-4)


def test_a_line_that_is_too_long_is_cut_off_or_refused(model: TranslationModel) -> None:
    data = replace(model.config.data, max_length=20)
    short = replace(model, config=replace(model.config, data=data))
    ids = model.src_tokenizer.encode(LINES[4])
    assert len(ids) > 20
    [cut] = translator(short, beam_size=1, on_long="truncate").translate([LINES[4]])
    start = model.src_tokenizer.decode(ids[:20])
    assert cut.text == translator(model, beam_size=1).translate([start])[0].text
    assert (cut.num_pieces, cut.num_parts) == (len(ids), 1)
    [aligned] = translator(short, beam_size=1, on_long="truncate", align=True).translate([LINES[4]])
    assert aligned.alignment is not None
    found = aligned.alignment.words("punct")
    assert len(found.src_words) == len(word_spans(LINES[4], "punct"))  # words of the whole line
    assert {LINES[4][slice(*found.src_words[i])] for i, _ in found.links} <= set(start.split())
    with pytest.raises(RequestError, match=rf"line 2: {len(ids)} pieces, expected at most 20"):
        translator(short, on_long="error").translate(["Ja!", LINES[4]])


def test_pieces_that_end_a_line_are_never_generated(model: TranslationModel) -> None:
    banned = {model.tgt_tokenizer.piece(id) for id in translator(model).rules.banned}
    assert banned >= {"<0x0A>", "<0x0D>", "<unk>"}
    assert EOS_ID not in translator(model).rules.banned
    assert without_line_ends("a\u2028b\rc\x85d\x1ce") == "a b c d e"


def test_more_hypotheses_than_the_beam_holds_are_refused(model: TranslationModel) -> None:
    with pytest.raises(ConfigError, match="10 hypotheses do not fit into a beam of 5; give --beam 10"):
        translator(model, nbest=10)


def test_hypotheses_come_best_first(model: TranslationModel) -> None:
    translation: Translation
    for translation in translator(model, beam_size=4, nbest=4).translate(LINES):
        scores = [one.score for one in translation.hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) == (4 if translation.num_parts else 1)
        assert translation.text == translation.hypotheses[0].text


def test_a_text_is_no_list_of_texts(model: TranslationModel) -> None:
    one = translator(model)
    for lines, options in (("Ja!", {}), (["Ja!"], {"require": ["Hund"]}), (["Ja!"], {"contexts": ["Nein!"]})):
        with pytest.raises(TypeError, match="found a text where a list of texts is expected"):
            one.translate(lines, **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="0 hypotheses: expected 1 or more"):
        translator(model, nbest=0)


def test_what_utf8_can_not_write_is_read_as_a_replacement_character(model: TranslationModel) -> None:
    mended, whole = translator(model, align=True).translate(["Ja \udcff!", "Ja \ufffd!"])
    assert mended.text == whole.text
    [scored] = translator(model).score([("Ja!", "\udcff")])
    assert scored.hypothesis is not None
