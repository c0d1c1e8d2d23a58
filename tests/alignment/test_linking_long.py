"""Lines that are too long for the model: cut into parts that correspond, linked part by part."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from safetensors.torch import save_file

from nmt.alignment import Alignment, align_pairs
from nmt.alignment import parts as parts_module
from nmt.alignment.linking import cut_pair, encode_pair
from nmt.alignment.parts import BEADS, Side, bead_costs, corresponding_parts, match_lengths
from nmt.alignment.text_aligner import train_text_aligner
from nmt.checkpoint import TranslationModel, build_network
from nmt.corpus.splitting import split_sentences
from nmt.corpus.words import UnitMode, word_spans
from nmt.decoding import Translator
from nmt.model import forced

PAIRS = [
    ("Der Hund schläft.", "The dog is sleeping."),
    ("Die kleine Katze sieht den Hund.", "The little cat sees the dog."),
    ("Wir gehen nach Hause, wenn es regnet.", "We are going home if it rains."),
]
LENGTHS = [30, 90, 50, 70, 20, 110] * 3
ONES = [(1, 1)] * len(LENGTHS)
MODES: tuple[UnitMode, ...] = ("punct", "space", "piece")


@pytest.fixture(autouse=True)
def shorter_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short lines are too long: the tests take less time."""
    monkeypatch.setattr(forced, "MAX_PIECES", 200)


@pytest.fixture(scope="module")
def model(tiny_model: TranslationModel, tmp_path_factory: pytest.TempPathFactory) -> TranslationModel:
    """The tiny model with HMM aligners, which know the words of PAIRS."""
    generator = random.Random(1)
    text = [
        tuple(" ".join(side) for side in zip(*generator.sample(PAIRS, 2), strict=True)) for _ in range(30)
    ]
    cut = [cut_pair(encode_pair(tiny_model, source, target)) for source, target in text]
    sizes = tiny_model.src_tokenizer.vocab_size, tiny_model.tgt_tokenizer.vocab_size
    path = tmp_path_factory.mktemp("links") / "hmm.safetensors"
    save_file(train_text_aligner(cut, vocab_sizes=sizes, is_joint=True).state(), path)
    return replace(tiny_model, hmm_path=path)


def with_max_length(model: TranslationModel, max_length: int) -> TranslationModel:
    return replace(
        model, config=replace(model.config, data=replace(model.config.data, max_length=max_length))
    )


def align(model: TranslationModel, source: str, target: str, links_from: str = "attention") -> Alignment:
    (alignment,) = align_pairs(model, [(source, target)], links_from=links_from)
    return alignment


def texts(alignment: Alignment) -> list[tuple[str, str]]:
    return [(part.links.source, part.links.target) for part in alignment.parts]


# Which segments belong together


def test_beads_cost_what_gale_and_church_say() -> None:
    # 100 and 120 characters at a ratio of 1: a mean of 110, so 20 / sqrt(6.8 * 110) = 0.7313 deviations,
    # beyond which, on either side, lie 0.4646 of a normal one; -ln 0.4646 = 0.7666; -ln 0.89 = 0.1165
    (cost,) = bead_costs((1, 1), 100, torch.tensor([120.0]), 1.0).tolist()
    assert cost == pytest.approx(0.7666 + 0.1165, abs=1e-4)


@pytest.mark.parametrize(
    ("src_lengths", "tgt_lengths", "expected"),
    [
        pytest.param([30, 90, 50], [30, 90, 50], [(1, 1)] * 3, id="the same"),
        pytest.param([30, 50, 40, 70], [30, 90, 70], [(1, 1), (2, 1), (1, 1)], id="two in one"),
        pytest.param([90, 30], [50, 40, 30], [(1, 2), (1, 1)], id="one in two"),
        pytest.param([*LENGTHS, 150, *LENGTHS], LENGTHS * 2, [*ONES, (1, 0), *ONES], id="left out"),
        pytest.param(LENGTHS * 2, [*LENGTHS, 150, *LENGTHS], [*ONES, (0, 1), *ONES], id="added"),
        pytest.param([*LENGTHS, 800, *LENGTHS], LENGTHS * 2, [*ONES, (1, 0), *ONES], id="far too long"),
        pytest.param([10, 30, 20], [20, 60, 40], [(1, 1)] * 3, id="another script"),
    ],
)
def test_segments_are_matched_by_their_lengths(
    src_lengths: list[int], tgt_lengths: list[int], expected: list[tuple[int, int]]
) -> None:
    assert match_lengths(src_lengths, tgt_lengths) == expected


def test_the_cheapest_beads_are_those_found_by_trying_all() -> None:
    def ways(num_src: int, num_tgt: int) -> Iterator[list[tuple[int, int]]]:
        if not num_src and not num_tgt:
            yield []
        for a, b in BEADS:
            if a <= num_src and b <= num_tgt:
                yield from ([*way, (a, b)] for way in ways(num_src - a, num_tgt - b))

    def cost(way: list[tuple[int, int]], src: list[int], tgt: list[int]) -> float:
        total, i, j = 0.0, 0, 0
        for a, b in way:
            length = torch.tensor([float(sum(tgt[j : j + b]))])
            total += bead_costs((a, b), sum(src[i : i + a]), length, sum(tgt) / sum(src)).item()
            i, j = i + a, j + b
        return total

    generator = random.Random(1)
    for _ in range(3):
        src, tgt = (generator.choices(range(5, 120), k=3) for _ in range(2))
        found = cost(match_lengths(src, tgt), src, tgt)
        assert found == pytest.approx(min(cost(way, src, tgt) for way in ways(len(src), len(tgt))), abs=1e-4)


def test_so_many_segments_that_several_count_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "MAX_SEGMENTS", 10)
    number = 21
    side = Side([(4 * i, 4 * i + 3) for i in range(number)], [*range(number + 1)])
    spans = [(0, 35), (36, 71), (72, 83)]  # three segments count as one, three times three fit
    assert corresponding_parts(side, side, 10) == [(span, span) for span in spans]


# Where lines are cut


def characters(text: str) -> list[tuple[int, int]]:
    return [(i, i + 1) for i, character in enumerate(text) if not character.isspace()]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("One. Two?  Three", ["One.", "Two?", "Three"]),
        ("one two three, four five six", ["one two", "three,", "four five", "six"]),
        ("a " + "x" * 30 + " b", ["a", "x" * 30, "b"]),
        ("天" * 25, ["天" * 10, "天" * 10, "天" * 5]),
        ("e\u0301" * 12, ["e\u0301" * 12]),
        ("กำ" * 7 + "ก็", ["กำ" * 5, "กำ" * 2 + "ก็"]),
        (" \u3000", []),
    ],
)
def test_sentences_are_split_but_no_word(line: str, expected: list[str]) -> None:
    assert [line[slice(*span)] for span in split_sentences(line, characters, 10)] == expected


def test_no_word_or_combining_mark_is_cut_wherever_the_limit_falls() -> None:
    line = "e\u0301a\u0308 ক্ষি 👩\u200d👩\u200d👧 नमस्ते กำลัง天気。g\u0302. " * 3
    for max_length in range(1, 12):
        spans = split_sentences(line, characters, max_length)
        words = [(a + start, a + end) for a, b in spans for start, end in word_spans(line[a:b])]
        assert words == word_spans(line)


# Their links


@pytest.mark.parametrize("links_from", ["attention", "hmm"])
def test_copies_of_a_pair_have_the_links_of_one(model: TranslationModel, links_from: str) -> None:
    source, target = (" ".join(side) for side in zip(*[PAIRS[1]] * 2, strict=True))
    ids = encode_pair(model, source, target).ids
    assert ids is not None
    short = with_max_length(model, max(len(ids.src), len(ids.tgt)) + 1)
    found = align(short, " ".join([source] * 6), "  ".join([target] * 6), links_from)
    one = align(model, source, target, links_from)
    assert texts(found) == [(source, target)] * 6
    assert (found.origin, found.unlinked) == (one.origin, None)
    for mode in MODES:
        links, of_one = found.words(mode), one.words(mode)
        size = len(of_one.src_words), len(of_one.tgt_words)
        expected = {
            (n * size[0] + i, n * size[1] + j): pytest.approx(fit, abs=1e-5)
            for n in range(6)
            for (i, j), fit in of_one.links.items()
        }
        assert links.links == expected
        matrix = found.matrix(mode)
        torch.testing.assert_close(matrix, torch.block_diag(*[one.matrix(mode)] * 6), atol=1e-5, rtol=0)


def test_links_of_the_hmm_aligners_are_nearly_those_of_the_sentences(model: TranslationModel) -> None:
    generator = random.Random(2)
    drawn = [generator.choice(PAIRS) for _ in range(20)]
    source, target = (" ".join(side) for side in zip(*drawn, strict=True))
    found = align(model, source, target, "hmm").words()
    expected, before = set(), (0, 0)
    for alone in align_pairs(model, drawn, links_from="hmm"):
        words = alone.words()
        expected |= {(before[0] + i, before[1] + j) for i, j in words.links}
        before = before[0] + len(words.src_words), before[1] + len(words.tgt_words)
    assert len(found.links.keys() & expected) > 0.9 * max(len(found.links), len(expected))


def test_pairs_that_fit_are_as_they_are_without_long_ones(model: TranslationModel) -> None:
    long = ("Der Hund. " * 60, "The dog. " * 60)
    alone = list(align_pairs(model, PAIRS))
    among = [each for each in align_pairs(model, [PAIRS[0], long, *PAIRS[1:]]) if not each.parts]
    for one, other in zip(among, alone, strict=True):
        assert torch.equal(one.forward, other.forward)
        assert one.words() == other.words()


def test_spans_are_those_of_the_raw_lines(model: TranslationModel) -> None:
    source = "  „Größe“ ﬁel\u00a0auf… e\u0301s 😀 今日は。\u3000天気\u200bだ！ " * 8
    target = "\t“Size” was\u2009noticed… 👩\u200d👧 it. Weather! " * 8
    found = align(model, source, target)
    assert len(found.parts) > 1
    for mode in MODES:
        words = found.words(mode)
        if mode != "piece":
            assert list(words.src_words) == word_spans(source, mode)
            assert list(words.tgt_words) == word_spans(target, mode)
        assert words.links
        assert all(i < len(words.src_words) and j < len(words.tgt_words) for i, j in words.links)
    whole = model.src_tokenizer.encode_with_spans(source)
    assert {span for span in found.src_spans if span[0] < span[1]} <= set(whole.spans) | set(found.src_spans)
    assert all(before <= after for before, after in pairwise(found.src_spans))
    assert {source[slice(*span)] for span in found.src_spans} >= {"😀", "。"}


def test_one_side_is_far_longer(model: TranslationModel) -> None:
    found = align(model, "Der Hund schläft. " * 30, "The dog.")
    assert [target for _, target in texts(found) if target] == ["The dog."]
    assert found.unlinked is None
    assert found.words().links
    found = align(model, "the", "der " * 300)  # not a sentence end
    assert [source for source, _ in texts(found) if source] == ["the"]


def test_a_word_that_is_too_long_has_no_links_and_the_others_have_theirs(model: TranslationModel) -> None:
    word = "q" * 300
    source = f"{'Der Hund schläft. ' * 3}{word} {'Der Hund schläft. ' * 3}"
    found = align(model, source, "The dog is sleeping. " * 6)
    assert found.unlinked == "too long"
    linked = {found.words().src_words[i] for i, _ in found.words().links}
    at = source.index(word)
    assert (at, at + len(word)) not in linked
    assert min(linked) < (at, 0)
    assert max(linked) > (at + len(word), 0)
    assert align(model, word, "the").words().links == {}


def test_learned_positions_end_sooner(model: TranslationModel) -> None:
    shape = replace(model.config.model, positions="learned", max_positions=60)
    config = replace(model.config, model=shape, data=replace(model.config.data, max_length=50))
    network = build_network(config, model.src_tokenizer, model.tgt_tokenizer).eval()
    source, target = (" ".join(side) for side in zip(*PAIRS * 2, strict=True))
    found = align(replace(model, config=config, network=network), source, target)
    assert found.unlinked is None
    assert [" ".join(side) for side in zip(*texts(found), strict=True)] == [source, target]


def test_turned_twice_is_the_same(model: TranslationModel) -> None:
    found = align(model, "Der Hund, die Katze. " * 20, "The dog, the cat. " * 20, "hmm")
    assert found.turned().turned().words() == found.words()
    assert {(j, i) for i, j in found.turned().words().links} == set(found.words().links)


def test_a_line_that_was_translated_in_parts_has_the_links_of_its_text(model: TranslationModel) -> None:
    short = with_max_length(model, 60)
    decoding = replace(model.config.decoding, beam_size=1, max_length_ratio=0.5)
    (translation,) = Translator(short, decoding, align=True).translate(
        ["Der Hund. Die Katze sieht ihn. " * 12]
    )
    assert translation.num_parts > 1
    assert translation.alignment is not None
    assert translation.alignment.parts
    (alignment,) = align_pairs(short, [(translation.source, translation.text)])
    assert alignment.words() == translation.alignment.words()


def test_blank_lines_have_no_links_wherever_links_come_from(model: TranslationModel) -> None:
    for links_from in ("attention", "hmm"):
        assert align(model, "", "the dog", links_from).words().links == {}
