"""One function links pairs wherever links come from, and translations get just what it gives their pairs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from typing import Any, Literal

import pytest
import torch

from nmt.alignment import alignment, linking
from nmt.alignment.alignment import Alignment
from nmt.alignment.linking import (
    Linker,
    align_layers,
    align_pairs,
    cut_pair,
    encode_pair,
    origin_of_links,
)
from nmt.alignment.merge import turned
from nmt.alignment.origin import FEWEST_PAIRS
from nmt.alignment.text_aligner import train_text_aligner
from nmt.checkpoint import TranslationModel, build_align_head, build_network, serialize
from nmt.config.schema import (
    AlignmentConfig,
    Config,
    DataConfig,
    DecodingConfig,
    LinksFrom,
    ModelConfig,
    TokenizerConfig,
)
from nmt.corpus.words import is_blank
from nmt.decoding import Translator
from nmt.errors import UsageError
from nmt.model import Transformer, encoded, forced
from nmt.tokenizer import train_tokenizer

SOURCES: list[LinksFrom] = ["attention", "head", "hmm"]
TEXT = [
    "der Hund ist groß.",
    "das Haus im Garten",
    "eine Katze und die Tür",
    "the dog is big.",
    "the house",
    "a cat and the door",
]
PAIRS = [
    ("der Hund", "the dog"),
    ("", "the"),
    ("das Haus ist groß.", "the house is big."),
    ("der", " \t"),
    ("", ""),
    ("groß", "big"),
]
ODD = [
    "Der Hund schläft im Garten.",
    "",
    "私は学生です。",  # no spaces, spelt in bytes
    "שלום עולם, der Hund",
    "e\u0301tude n\u0303 groß",
    "👩‍👩‍👧 Katze 👍🏽 🇩🇪",
    "①Ｈｕｎｄ ﬁne ½",  # changed by nfkc
    " \t\u200b",
    "Der  Hund\u3000ist groß. Das Haus im Garten. Eine Katze und die Tür, der Hund und das Haus im Garten.",
]


@pytest.fixture(scope="module", params=["one way", "both ways"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TranslationModel:
    """Random weights with everything that links can come from; in one direction the tokenizer normalises."""
    is_bidirectional = request.param == "both ways"
    config = Config(
        data=DataConfig(src=("a.de",), tgt=("a.en",), bidirectional=is_bidirectional, max_length=40),
        model=ModelConfig(encoder_layers=1, decoder_layers=2, d_model=32, d_ff=64, num_heads=2, dropout=0.0),
        tokenizer=TokenizerConfig(normalization="identity" if is_bidirectional else "nfkc"),
    )
    tags = ("de", "en") if is_bidirectional else ()
    tokenizer = train_tokenizer(TEXT * 5, config.tokenizer, vocab_size=400, exact=False, threads=1, tags=tags)
    torch.manual_seed(1)
    model = TranslationModel(
        config, tokenizer, tokenizer, build_network(config, tokenizer, tokenizer).eval(), manifest={}
    )
    head = build_align_head(config, layer=1, vocab_sizes=(tokenizer.vocab_size,) * 2).eval()
    torch.nn.init.normal_(head.neighbours[-1].weight)
    cut = [cut_pair(encode_pair(model, *pair)) for pair in zip(TEXT, reversed(TEXT), strict=True)]
    aligner = train_text_aligner(cut, vocab_sizes=(tokenizer.vocab_size,) * 2, is_joint=True)
    path = tmp_path_factory.mktemp("hmm") / "hmm.safetensors"
    path.write_bytes(serialize(aligner.state()))
    return replace(model, align_head=head, hmm_path=path)


def with_config(model: TranslationModel, **sections: Any) -> TranslationModel:
    return replace(model, config=replace(model.config, **sections))


def assert_close(found: Alignment, expected: Alignment) -> None:
    """The same up to what the batch does to the last bits of float32."""
    for name in ("source", "target", "src_spans", "tgt_spans", "origin", "unlinked"):
        assert getattr(found, name) == getattr(expected, name)
    for name in ("forward", "backward"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    for mode in ("punct", "space", "piece"):
        one, other = found.words(mode), expected.words(mode)
        assert one == replace(other, links=pytest.approx(other.links, abs=1e-4))


WAYS: dict[str, dict[str, Any]] = {
    "greedy": {"beam_size": 1},
    "n-best": {"beam_size": 2, "nbest": 2, "batch_rows": 7, "batch_tokens": 60},
    "sampling": {"samples": 2, "seed": 5},
    "prefix": {"beam_size": 2, "prefix": "the dog 私"},
    "cut off": {"beam_size": 1, "on_long": "truncate"},
}


@pytest.mark.parametrize(
    ("way", "links_from"),
    [
        *(("greedy", source) for source in SOURCES),
        ("n-best", "head"),
        ("sampling", "hmm"),
        ("prefix", "head"),
        ("cut off", "attention"),
    ],
)
def test_translations_have_the_links_of_their_pairs(
    model: TranslationModel, way: str, links_from: LinksFrom
) -> None:
    """Of both directions; the long line is split, so that its parts were translated one by one."""
    options = {"max_length_ratio": 0.1, **WAYS[way]}
    prefix, nbest = options.pop("prefix", ""), options.pop("nbest", 1)
    asked = with_config(model, alignment=AlignmentConfig(source=links_from))
    for direction in model.directions:
        to = direction.tgt_lang if len(model.directions) > 1 else None
        translator = Translator(asked, DecodingConfig(**options), align_all=True, nbest=nbest, to=to)
        found = translator.translate(ODD, prefixes=["" if is_blank(line) else prefix for line in ODD])
        if way != "cut off":
            assert found[-1].num_parts > 1
        several = [(one, each) for one in found for each in zip(one.hypotheses, one.alignments, strict=True)]
        several.reverse()
        lines = ((_translated(asked, one.source, way), hypothesis.text) for one, (hypothesis, _) in several)
        for (one, (_, links)), expected in zip(
            several, align_pairs(model, lines, links_from=links_from, direction=direction), strict=True
        ):
            assert_close(links, replace(expected, source=one.source))
            assert links.origin.source == links_from


def _translated(model: TranslationModel, line: str, way: str) -> str:
    """What of a line was translated at all."""
    spans = model.src_tokenizer.encode_with_spans(line).spans
    most = model.config.data.max_length
    return line[: spans[most - 1][1]] if way == "cut off" and len(spans) > most else line


@pytest.mark.parametrize("links_from", SOURCES)
@pytest.mark.parametrize(("batch_tokens", "window"), [(1, 100), (30, 4), (10_000, 100)])
def test_batches_and_windows_change_nothing_and_blank_lines_have_no_links(
    model: TranslationModel, links_from: LinksFrom, batch_tokens: int, window: int
) -> None:
    pairs = [*PAIRS, *zip(ODD, reversed(ODD), strict=True)]
    sizes = replace(model.config.decoding, window=window, batch_tokens=batch_tokens)
    found = list(align_pairs(with_config(model, decoding=sizes), iter(pairs), links_from=links_from))
    assert [(one.source, one.target) for one in found] == pairs
    for one in found:
        (alone,) = align_pairs(model, [(one.source, one.target)], links_from=links_from)
        assert_close(one, alone)
        if is_blank(one.source) or is_blank(one.target):
            assert (one.words().links, one.unlinked) == ({}, None)


@pytest.mark.parametrize("links_from", SOURCES)
def test_the_other_direction_has_the_same_links_exchanged(
    model: TranslationModel, links_from: LinksFrom
) -> None:
    if len(model.directions) == 1:
        pytest.skip("has no other direction")
    pairs = list(zip(ODD, reversed(ODD), strict=True))
    there = align_pairs(model, pairs, links_from=links_from)
    back = align_pairs(
        model, [pair[::-1] for pair in pairs], links_from=links_from, direction=model.directions[1]
    )
    for one, other in zip(there, back, strict=True):
        for mode in ("punct", "space", "piece"):
            assert other.words(mode) == turned(one.words(mode))


def test_what_links_are_made_with_is_read_once(model: TranslationModel, tmp_path: Path) -> None:
    assert model.hmm_path is not None
    path = Path(copyfile(model.hmm_path, tmp_path / "hmm.safetensors"))
    linker = Linker(replace(model, hmm_path=path), links_from="hmm")
    path.unlink()
    for pair in PAIRS:
        (found,), (expected,) = linker.link([[pair]]), align_pairs(model, [pair], links_from="hmm")
        assert_close(found, expected)


def test_links_come_from_the_best_there_is_or_from_what_is_asked_for(model: TranslationModel) -> None:
    with_hmm = replace(model, align_head=None)
    bare = replace(with_hmm, hmm_path=None)
    assert [origin_of_links(each, "auto").source for each in (model, with_hmm, bare)] == [
        *("head", "hmm", "attention")
    ]
    few = replace(model, manifest={"alignment": {"pairs": FEWEST_PAIRS - 1}})
    assert origin_of_links(few, "auto").source == "hmm"
    assert origin_of_links(replace(few, hmm_path=None), "auto").source == "head"
    many = replace(model, manifest={"alignment": {"pairs": FEWEST_PAIRS}})
    assert origin_of_links(many, "auto").source == "head"
    assert str(origin_of_links(model, "head")) == "align head, decoder layer 1"
    assert origin_of_links(model, "auto", layer=2).record() == {"from": "attention", "layer": 2}
    (links,) = align_pairs(model, PAIRS[:1], layer=2)
    (expected,) = align_pairs(bare, PAIRS[:1], layer=2)
    assert_close(links, expected)
    for each, what in ((with_hmm, "head"), (bare, "head"), (bare, "hmm")):
        message = (
            r"the model: has no (align head|HMM aligners); give --from attention, or .*--align-head-only"
        )
        with pytest.raises(UsageError, match=message):
            next(align_pairs(each, PAIRS, links_from=what))
    with pytest.raises(UsageError, match=r"--layer is for links from attention; found --from head"):
        next(align_pairs(model, PAIRS, links_from="head", layer=1))
    with pytest.raises(UsageError, match=r"--layer 3: the decoder has 2 layers"):
        next(align_pairs(model, PAIRS, layer=3))


def test_what_links_are_not_to_be_had_from_is_refused_before_anything_is_translated(
    model: TranslationModel,
) -> None:
    bare = with_config(replace(model, align_head=None), alignment=AlignmentConfig(source="head"))
    with pytest.raises(UsageError, match="has no align head"):
        Translator(bare, DecodingConfig(), align=True)
    assert Translator(bare, DecodingConfig(beam_size=1)).translate([""])[0].text == ""


@pytest.mark.parametrize("links_from", SOURCES)
def test_pairs_that_are_too_long_have_the_links_of_their_parts(
    model: TranslationModel, links_from: LinksFrom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forced, "MAX_PIECES", 200)
    long = " ".join(["der Hund ist groß."] * 60), " ".join(["the dog is big."] * 60)
    assert len(model.src_tokenizer.encode(long[0])) > forced.MAX_PIECES
    for direction in model.directions:
        one, short = align_pairs(model, [long, PAIRS[0]], links_from=links_from, direction=direction)
        assert (one.source, one.target, one.unlinked, short.parts) == (*long, None, ())
        part = one.parts[len(one.parts) // 2]
        pair = part.links.source, part.links.target
        assert long[0][part.src_start :].startswith(pair[0])
        assert long[1][part.tgt_start :].startswith(pair[1])
        (alone,) = align_pairs(model, [pair], links_from=links_from, direction=direction)
        assert_close(part.links, alone)
        assert len(one.words().links) == sum(len(part.links.words().links) for part in one.parts)


def test_a_stream_is_read_window_by_window(toy_model: TranslationModel) -> None:
    num_read = 0

    def pairs() -> Iterator[tuple[str, str]]:
        nonlocal num_read
        for _ in range(10):
            num_read += 1
            yield "der Hund", "the dog"

    model = with_config(toy_model, decoding=replace(toy_model.config.decoding, window=3))
    next(align_pairs(model, pairs()))
    assert num_read == 3


def test_several_layers_in_one_pass_are_those_of_passes_of_their_own(model: TranslationModel) -> None:
    for layer in (1, 2):
        together = align_layers(model, PAIRS, [1, 2])
        for by_layer, alone in zip(together, align_pairs(model, PAIRS, layer=layer), strict=True):
            assert_close(by_layer[layer], alone)


@pytest.mark.parametrize("links_from", ["attention", "head"])
def test_a_batch_without_enough_memory_is_halved_and_a_pair_that_does_not_fit_left_without_links(
    model: TranslationModel, links_from: Literal["attention", "head"], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [("der", "the"), ("das Haus ist groß.", "the house is big."), ("der Hund", "the dog")]
    expected = list(align_pairs(model, pairs, links_from=links_from))
    encode, longest = encoded.encode, len(expected[1].src_spans)

    def encode_few(network: Transformer, sources: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        if len(sources) > 1 or len(sources[0]) >= longest:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return encode(network, sources)

    monkeypatch.setattr(encoded, "encode", encode_few)
    found = list(align_pairs(model, pairs, links_from=links_from))
    assert found[1].src_spans == found[1].tgt_spans == ()
    assert [each.unlinked for each in found] == [None, "out of memory", None]
    for place in (0, 2):
        assert_close(found[place], expected[place])


def test_words_are_merged_from_pieces_in_every_mode(model: TranslationModel) -> None:
    (one,) = align_pairs(model, [("das Haus ist groß.", "the house is big.")], links_from="attention")
    assert len(one.words("punct").src_words) == 5
    assert len(one.words("space").src_words) == 4
    assert one.words("piece").src_words == one.src_spans
    for mode in ("punct", "space", "piece"):
        found = one.words(mode)
        assert {target for _, target in found.links} <= set(range(len(found.tgt_words)))
        assert len(one.words(mode, threshold=0.01).links) >= len(found.links)


def test_what_was_encoded_for_a_translation_is_not_encoded_again(
    model: TranslationModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = Translator(model, DecodingConfig(beam_size=2, max_length_ratio=0.1), align=True)
    expected = translator.translate(TEXT)
    encode, asked = encoded.encode, list[list[int]]()
    monkeypatch.setattr(encoded, "encode", lambda net, new: asked.extend(new) or encode(net, new))
    for one, other in zip(translator.translate(TEXT), expected, strict=True):
        assert one.alignment is not None
        assert other.alignment is not None
        assert_close(one.alignment, other.alignment)
    assert asked == []


def test_words_of_translations_are_made_together_whatever_a_word_is(
    model: TranslationModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Translator(model, DecodingConfig(beam_size=1, max_length_ratio=0.1), align=True).translate(TEXT)
    make, numbers = alignment.make_words, list[int]()
    monkeypatch.setattr(
        alignment, "make_words", lambda some, *by: numbers.append(len(some)) or make(some, *by)
    )
    for mode in ("punct", "space", "piece"):
        for one in found:
            assert one.alignment is not None
            one.alignment.words(mode, 0.2)
    assert numbers == [len(TEXT)] * 3


def test_few_long_pairs_at_a_time_have_the_links_of_many(
    model: TranslationModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(align_pairs(model, PAIRS, links_from="head"))
    monkeypatch.setattr(linking, "CELLS_AT_ONCE", 1)
    for one, other in zip(align_pairs(model, PAIRS, links_from="head"), expected, strict=True):
        assert_close(one, other)
