"""Model 1 on text whose dictionary is known."""

import gzip
import os
import random
from itertools import islice
from pathlib import Path

import pytest

from nmt.alignment.ibm1 import WordPair, train_ibm1
from nmt.alignment.scoring import score_links
from nmt.alignment.symmetrize import symmetrize
from nmt.corpus.links import parse_talp

DICTIONARY = {f"s{i}": f"t{i}" for i in range(30)}


def shuffled_pairs(count: int) -> list[WordPair]:
    """Random source words and their translations in another order."""
    generator = random.Random(1)
    pairs = []
    for _ in range(count):
        src_words = generator.sample(sorted(DICTIONARY), generator.randint(2, 6))
        tgt_words = [DICTIONARY[word] for word in src_words]
        generator.shuffle(tgt_words)
        pairs.append((src_words, tgt_words))
    return pairs


def test_finds_the_dictionary() -> None:
    pairs = shuffled_pairs(400)
    model = train_ibm1(pairs)
    for src_words, tgt_words in pairs:
        expected = {(src_words.index(f"s{word[1:]}"), j) for j, word in enumerate(tgt_words)}
        assert model.links((src_words, tgt_words)) == expected


def test_probabilities_of_a_source_word_sum_to_one() -> None:
    model = train_ibm1(shuffled_pairs(50))
    sources = model.keys // len(model.tgt_vocabulary)
    for source in sources.unique():
        assert abs(float(model.probabilities[sources == source].sum()) - 1) < 1e-5


def test_first_iteration_worked_by_hand() -> None:
    # with NULL every source word gets a third of each target word in the first pair, a half in the second:
    # das collects 1/3 + 1/2 of "the" and 1/3 of "house"
    model = train_ibm1([(["das", "Haus"], ["the", "house"]), (["das"], ["the"])], iterations=1)
    the, house = model.tgt_vocabulary["the"], model.tgt_vocabulary["house"]
    das = model.src_vocabulary["das"] * len(model.tgt_vocabulary)
    found = {int(key): float(p) for key, p in zip(model.keys, model.probabilities, strict=True)}
    assert abs(found[das + the] - (1 / 3 + 1 / 2) / (1 / 3 + 1 / 2 + 1 / 3)) < 1e-6
    assert abs(found[das + house] - (1 / 3) / (1 / 3 + 1 / 2 + 1 / 3)) < 1e-6


def test_words_without_a_translation_come_from_null() -> None:
    pairs = [(src_words, ["filler", *tgt_words]) for src_words, tgt_words in shuffled_pairs(400)]
    model = train_ibm1(pairs)
    assert all(target != 0 for _, target in model.links(pairs[0]))


def test_unknown_and_missing_words_have_no_links() -> None:
    model = train_ibm1(shuffled_pairs(20))
    assert model.links((["unknown"], ["t1"])) == set()
    assert model.links((["s1"], ["unknown"])) == set()
    assert model.links(([], ["t1"])) == set()


def test_no_pairs_make_a_model_without_links() -> None:
    assert train_ibm1([([], ["t1"])]).links((["s1"], ["t1"])) == set()


DATA = Path(os.environ.get("NMT_DATA", Path(__file__).parents[3] / "shared" / "data"))
HANSARDS = DATA / "hansards-en-fr"


@pytest.mark.skipif(not HANSARDS.exists(), reason="real text is not there")
def test_links_of_real_text_agree_with_people() -> None:
    def lines(name: str, count: int | None = None) -> list[list[str]]:
        path = HANSARDS / name
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as stream:
            return [line.split() for line in islice(stream, count)]

    dev = list(zip(lines("dev.en"), lines("dev.fr"), strict=True))
    pairs = dev + list(zip(lines("train.en.gz", 5000), lines("train.fr.gz", 5000), strict=True))
    forward, reverse = train_ibm1(pairs), train_ibm1([(tgt, src) for src, tgt in pairs])
    found = []
    for src, tgt in dev:
        turned = {(i, j) for j, i in reverse.links((tgt, src))}
        found.append(symmetrize(forward.links((src, tgt)), turned, "intersection"))
    gold = [parse_talp(line, where="gold") for line in (HANSARDS / "dev.talp").read_text().splitlines()]
    assert score_links(found, gold).aer < 0.35
