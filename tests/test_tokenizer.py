"""The tokenizer: what goes in comes out, and every piece knows its characters."""

import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Literal

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt import tokenizer as module
from nmt.config.schema import TokenizerConfig
from nmt.errors import DataError, ModelError, UsageError
from nmt.tokenizer import BOS_ID, EOS_ID, PAD_ID, SPACE, UNK_ID, Tokenizer, train_tokenizer

LINES = [
    "Der kleine Hund läuft über die grüne Wiese.",
    "Die alte Frau kauft frisches Brot auf dem Markt.",
    "Ein Mädchen liest unter dem Apfelbaum ein Buch.",
    "The small dog runs across the green meadow.",
    "The old woman buys fresh bread at the market.",
    "A girl reads a book under the apple tree.",
] * 5
SPECIAL = "  ▁\uf581▅⁇\0\t\u3000\u00a0\u200b\ufeff\u2028é\u0301ﬁ①ｶﾞ\ufdfa¨😀</s><s><unk><pad><0x0A>abcdefgh"
any_text = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(SPECIAL)))
any_ids = st.lists(st.one_of(st.integers(0, 69), st.integers(70, 324)))


def train(
    type: Literal["unigram", "bpe"] = "unigram",
    normalization: Literal["identity", "nfkc"] = "identity",
    *,
    byte_fallback: bool = True,
) -> Tokenizer:
    config = TokenizerConfig(type=type, normalization=normalization, byte_fallback=byte_fallback)
    return train_tokenizer(LINES, config, vocab_size=325 if byte_fallback else 70)


UNIGRAM, BPE = train("unigram"), train("bpe")
NFKC = train("unigram", "nfkc")
WITHOUT_BYTES = train("bpe", byte_fallback=False)
ALL = {"unigram": UNIGRAM, "bpe": BPE, "nfkc": NFKC, "without bytes": WITHOUT_BYTES}
EXACT = {"unigram": UNIGRAM, "bpe": BPE}

each_of_all = pytest.mark.parametrize("tokenizer", ALL.values(), ids=ALL.keys())
each_exact = pytest.mark.parametrize("tokenizer", EXACT.values(), ids=EXACT.keys())


def fold_spaces(line: str) -> str:
    return re.sub(" +", " ", line).strip(" ")


def no_control_id(ids: list[int]) -> bool:
    return not {PAD_ID, BOS_ID, EOS_ID} & set(ids)


# Round trip


@each_exact
@settings(deadline=None)
@given(line=any_text)
def test_decoding_gives_back_every_line_up_to_runs_of_spaces(tokenizer: Tokenizer, line: str) -> None:
    ids = tokenizer.encode(line)
    assert tokenizer.decode(ids) == fold_spaces(line)
    assert tokenizer.decode(tokenizer.sample(line, alpha=0.3, generator=Random(1))) == fold_spaces(line)
    assert no_control_id(ids)
    assert UNK_ID not in ids


@each_exact
@pytest.mark.parametrize(
    "line",
    [
        "</s> <s><unk> <pad>",
        "<0x0A>",
        "a ▁ b▁",
        "▁",
        "▁\uf581▁\uf581",
        "a\0b",
        "😀👩‍👩‍👧",
        "▅ ⁇",
        "",
        "\u3000\t\u00a0",
        "\r\n",
    ],
)
def test_what_looks_like_a_symbol_is_text(tokenizer: Tokenizer, line: str) -> None:
    assert tokenizer.decode(tokenizer.encode(line)) == line


@each_exact
def test_symbols_in_the_training_text_are_text_too(tokenizer: Tokenizer) -> None:
    lines = [*LINES, *["<s> </s> <unk> <0x0A> ▁ \uf581 ▅ \0 x<pad>y"] * 50]
    odd = train_tokenizer(lines, TokenizerConfig(type=tokenizer.info().type), vocab_size=325)  # type: ignore[arg-type]
    line = lines[-1]
    assert no_control_id(odd.encode(line))
    assert odd.decode(odd.encode(line)) == line


def test_control_ids_are_passed_over_and_bad_bytes_replaced() -> None:
    ids = UNIGRAM.encode("Der Hund")
    assert UNIGRAM.decode([BOS_ID, *ids, EOS_ID, PAD_ID]) == "Der Hund"
    bytes_of_euro = UNIGRAM.encode("€")[1:]
    assert UNIGRAM.decode([*ids, *bytes_of_euro[:2]]) == "Der Hund\ufffd\ufffd"


@each_of_all
@settings(deadline=None)
@given(ids=any_ids)
def test_decoding_agrees_with_sentencepiece(tokenizer: Tokenizer, ids: list[int]) -> None:
    ids = [id for id in ids if EOS_ID < id < tokenizer.vocab_size]
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.data)
    assert tokenizer.decode(ids).lstrip(" ") == processor.decode(ids).lstrip(" ")  # a byte may be a space


@each_of_all
@settings(deadline=None, max_examples=50)
@given(lines=st.lists(any_text, max_size=5))
def test_a_batch_is_encoded_like_its_lines(tokenizer: Tokenizer, lines: list[str]) -> None:
    alone = [tokenizer.encode(line) for line in lines]
    assert tokenizer.encode_batch(lines) == alone
    assert tokenizer.encode_batch(lines, threads=3) == alone


# Offsets


def check_spans(spans: list[tuple[int, int]], text: str) -> None:
    """They lie in the text, and none begins or ends before the one before it."""
    end_of_text = len(text), len(text)
    for (start, end), (next_start, next_end) in pairwise([(0, 0), *spans, end_of_text]):
        assert start <= end
        assert start <= next_start
        assert end <= next_end


@each_of_all
@settings(deadline=None)
@given(line=any_text)
def test_spans_are_in_order_and_cover_what_is_visible(tokenizer: Tokenizer, line: str) -> None:
    cut = tokenizer.encode_with_spans(line)
    assert cut.ids == tokenizer.encode(line)
    assert cut.pieces == [tokenizer.piece(id) for id in cut.ids]
    assert len(cut.spans) == len(cut.ids)
    check_spans(cut.spans, line)
    covered = {place for start, end in cut.spans for place in range(start, end)}
    is_space = str.isspace if tokenizer is NFKC else " ".__eq__
    assert covered >= {place for place, character in enumerate(line) if not is_space(character)}
    assert not any(line[place] == " " for place in covered)


@each_of_all
@settings(deadline=None)
@given(ids=any_ids)
def test_spans_of_decoded_text_are_in_order_and_cover_it(tokenizer: Tokenizer, ids: list[int]) -> None:
    ids = [id for id in ids if id < tokenizer.vocab_size]
    text, spans = tokenizer.decode_with_spans(ids)
    assert len(spans) == len(ids)
    assert text == tokenizer.decode(ids)
    check_spans(spans, text)
    covered = {place for start, end in spans for place in range(start, end)}
    assert covered == {place for place, character in enumerate(text) if character != " "}


@each_exact
def test_spans_of_encoding_and_decoding_agree_on_a_clean_line(tokenizer: Tokenizer) -> None:
    for line in [*LINES, "Größe: 5 € 😀 ▁"]:
        cut = tokenizer.encode_with_spans(line)
        assert tokenizer.decode_with_spans(cut.ids) == (line, cut.spans)


def test_a_space_belongs_to_no_span_and_bytes_share_theirs() -> None:
    cut = UNIGRAM.encode_with_spans("  Der  😀 ")
    text = ["  Der  😀 "[start:end] for start, end in cut.spans]
    assert "".join(text[:-5]) == "Der"
    assert text[-5:] == ["", "😀", "😀", "😀", "😀"]


def test_spans_under_nfkc_point_into_the_line_as_it_was_given() -> None:
    line = "ﬁn ｇｒüne cafe\u0301 ①"
    cut = NFKC.encode_with_spans(line)
    assert NFKC.decode(cut.ids) == "fin grüne café 1"
    spans = dict.fromkeys(span for span in cut.spans if span[0] < span[1])
    assert min(spans) == (0, 1)  # the ligature, of which f and i are made
    assert max(spans) == (len(line) - 1, len(line))
    assert any(line[start:end].endswith("e\u0301") for start, end in spans)


# Sampling


def samples(tokenizer: Tokenizer, lines: Sequence[str], *, alpha: float, seed: int) -> list[list[int]]:
    generator = Random(seed)
    return [tokenizer.sample(line, alpha=alpha, generator=generator) for line in lines]


@each_exact
def test_sampling_is_a_function_of_the_seed(tokenizer: Tokenizer) -> None:
    first = samples(tokenizer, LINES, alpha=0.2, seed=7)
    assert samples(tokenizer, LINES, alpha=0.2, seed=7) == first
    assert samples(tokenizer, LINES, alpha=0.2, seed=8) != first
    assert len({tuple(ids) for ids in samples(tokenizer, LINES[:1] * 20, alpha=0.2, seed=1)}) > 1


@each_exact
def test_another_process_samples_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(tokenizer.data)
    code = (
        "from pathlib import Path; from random import Random; from nmt.tokenizer import Tokenizer; "
        f"tokenizer = Tokenizer.load(Path({str(tmp_path / 'tokenizer.model')!r})); "
        f"generator = Random(7); "
        f"print([tokenizer.sample(line, alpha=0.2, generator=generator) for line in {LINES[:2]!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == str(samples(tokenizer, LINES[:2], alpha=0.2, seed=7))


@each_of_all
def test_without_chance_a_sample_is_the_usual_segmentation(tokenizer: Tokenizer) -> None:
    alpha = 0.0 if tokenizer.type == "bpe" else 1e6
    for line in LINES:
        assert tokenizer.sample(line, alpha=alpha, generator=Random(1)) == tokenizer.encode(line)


def test_a_unigram_segmentation_is_as_frequent_as_its_smoothed_probability() -> None:
    num_samples, alpha = 4000, 0.5
    drawn = Counter(map(tuple, samples(UNIGRAM, ["kleine"] * num_samples, alpha=alpha, seed=1)))
    processor = sentencepiece.SentencePieceProcessor()
    processor.LoadFromSerializedProto(UNIGRAM.data)
    rows = [tuple(row) for row in processor.nbest_encode("kleine", nbest_size=500)]
    weights = [math.exp(alpha * sum(processor.get_score(id) for id in row)) for row in rows]
    for row, weight in zip(rows[:5], weights, strict=False):
        assert drawn[row] / num_samples == pytest.approx(weight / sum(weights), abs=0.03)


def test_a_merge_is_overlooked_as_often_as_its_chance_says() -> None:
    """Of `▁ a b`, which becomes `▁ab` in two merges, each of which is seen with 1 - p."""
    tokenizer = train_tokenizer(["ab"] * 20, TokenizerConfig(type="bpe"), vocab_size=300, exact=False)
    pieces = {tokenizer.piece(id): id for id in range(tokenizer.vocab_size)}
    first = min(("\u2581a", "ab"), key=lambda piece: pieces.get(piece, tokenizer.vocab_size))
    other = {"ab": "\u2581a", "\u2581a": "ab"}[first]
    num_samples, rate = 4000, 0.3
    drawn = Counter(
        tuple(tokenizer.piece(id) for id in ids)
        for ids in samples(tokenizer, ["ab"] * num_samples, alpha=rate, seed=1)
    )
    cut = {"\u2581a": ("\u2581a", "b"), "ab": ("\u2581", "ab")}
    begins = {first: 1 - rate, other: 0.0 if other not in pieces else rate * (1 - rate)}
    expected = {("\u2581ab",): sum(each * (1 - rate) for each in begins.values())}
    expected |= {cut[piece]: chance * rate for piece, chance in begins.items() if chance}
    expected[("\u2581", "a", "b")] = 1 - sum(begins.values())
    assert set(drawn) == set(expected)
    for row, chance in expected.items():
        assert drawn[row] / num_samples == pytest.approx(chance, abs=0.03)


# Training


@pytest.mark.parametrize("type", ["unigram", "bpe"])
def test_training_twice_gives_the_same_bytes_and_the_ids_we_count_on(
    type: Literal["unigram", "bpe"], capfd: pytest.CaptureFixture[str]
) -> None:
    tokenizer = train(type)
    assert tokenizer.data == train(type).data
    assert [tokenizer.piece(id) for id in (PAD_ID, UNK_ID, BOS_ID, EOS_ID)] == [
        "<pad>",
        "<unk>",
        "<s>",
        "</s>",
    ]
    info = tokenizer.info()
    assert (info.type, info.vocab_size, info.normalization, info.byte_fallback) == (
        type,
        325,
        "identity",
        True,
    )
    assert capfd.readouterr() == ("", "")


def test_info_tells_options_from_the_model() -> None:
    assert NFKC.info().normalization == "nfkc"
    assert WITHOUT_BYTES.info().byte_fallback is False
    assert BPE.info().type == "bpe"


@pytest.mark.parametrize("type", ["unigram", "bpe"])
@pytest.mark.parametrize(
    ("vocab_size", "message"), [(50_000, r"expected at most (\d+)"), (100, r"take (\d+)")]
)
def test_a_vocabulary_out_of_reach_is_refused_with_one_that_can_be_had(
    type: Literal["unigram", "bpe"], vocab_size: int, message: str
) -> None:
    config = TokenizerConfig(type=type)
    with pytest.raises(DataError, match=message) as refusal:
        train_tokenizer(LINES, config, vocab_size=vocab_size)
    found = re.search(message, str(refusal.value))
    assert found
    assert train_tokenizer(LINES, config, vocab_size=int(found[1])).vocab_size == int(found[1])


def test_a_size_that_need_not_be_exact_gives_way() -> None:
    assert train_tokenizer(["a b"], TokenizerConfig(), vocab_size=8000, exact=False).vocab_size < 300


@pytest.mark.parametrize("lines", [[], ["", "  "], ["▁"]])
def test_text_without_text_is_refused(lines: list[str]) -> None:
    with pytest.raises(DataError, match="every line is blank"):
        train_tokenizer(lines, TokenizerConfig(), vocab_size=300)


def test_lines_longer_than_sentencepiece_takes_are_learnt_from() -> None:
    long_line = "žluťoučký kůň " * 1000
    tokenizer = train_tokenizer([long_line], TokenizerConfig(), vocab_size=300, exact=False)
    assert max(tokenizer.encode("žluťoučký")) > 259  # more than bytes
    assert tokenizer.decode(tokenizer.encode(long_line)) == long_line.strip()


def test_of_too_many_lines_a_sample_is_taken_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINES", 10)
    lines = [f"Satz {number}" for number in range(1000)]
    config = TokenizerConfig()
    first, again, other = (
        train_tokenizer(lines, config, vocab_size=300, exact=False, seed=seed).data for seed in (1, 1, 2)
    )
    assert first == again != other


# Files


def test_a_tokenizer_is_its_file(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(UNIGRAM.data)
    loaded = Tokenizer.load(path)
    assert loaded.hash == UNIGRAM.hash != BPE.hash
    assert loaded.encode(LINES[0]) == UNIGRAM.encode(LINES[0])
    with pytest.raises(UsageError, match="no such file"):
        Tokenizer.load(tmp_path / "other.model")


@pytest.mark.parametrize(
    "data", [b"", b"no model", UNIGRAM.data[:1000], UNIGRAM.data.replace("ü".encode(), b"\xfc.")]
)
def test_a_damaged_model_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"here\.model: damaged, or not a SentencePiece model"):
        Tokenizer.from_bytes(data, name="here.model")


def test_a_model_with_other_special_ids_is_refused(tmp_path: Path) -> None:
    prefix = tmp_path / "other"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_prefix=str(prefix), vocab_size=70, minloglevel=3
    )
    with pytest.raises(ModelError, match=r"have the ids \(-1, 0, 1, 2\), expected \(0, 1, 2, 3\)"):
        Tokenizer.load(prefix.with_suffix(".model"))


@pytest.mark.parametrize("byte_fallback", [True, False])
@pytest.mark.parametrize("type_", ["unigram", "bpe"])
def test_no_text_is_cut_into_a_tag(type_, byte_fallback: bool) -> None:
    config = TokenizerConfig(type=type_, byte_fallback=byte_fallback)
    lines = [*LINES, *["<2de> <2en>x ein<2de>Hund"] * 20]
    tokenizer = train_tokenizer(lines, config, vocab_size=400, exact=False, tags=["de", "en"])
    assert tokenizer.tags == {"de": 4, "en": 5}
    assert [tokenizer.piece(id) for id in (4, 5)] == ["<2de>", "<2en>"]
    for line in ("<2de>", " <2en> ", "<2de><2en>", "ein <2de>Hund<2en>", "\u2581<2de>\u2581"):
        drawn = samples(tokenizer, [line] * 20, alpha=0.5, seed=1)
        for ids in (tokenizer.encode(line), tokenizer.encode_with_spans(line).ids, *drawn):
            assert not {4, 5} & {*ids}
        if byte_fallback and SPACE not in line:
            assert tokenizer.decode(tokenizer.encode(line)) == line.strip()
