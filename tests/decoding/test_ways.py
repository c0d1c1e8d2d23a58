"""Ways to translate go together: every two of them, each with its promise kept, and links in all."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from nmt.alignment import align_pairs
from nmt.checkpoint import TranslationModel
from nmt.config import DecodingConfig
from nmt.decoding import Translation, Translator
from nmt.model.int8_linear import choose_largest_weight

LINES = ["Der Hund.", "", "Ja!"]
PREFIX, REQUIRED, FORBIDDEN = "The", "Hund", "Katze"

WAYS: dict[str, dict[str, Any]] = {
    "greedy": {"beam_size": 1},
    "n-best": {"nbest": 3},
    "sampling": {"samples": 3, "seed": 5, "temperature": 0.7},
    "minimum Bayes risk": {"samples": 4, "mbr": True, "top_k": 50},
    "prefix": {"prefix": PREFIX},
    "require": {"require": REQUIRED},
    "forbid": {"forbid": (FORBIDDEN,)},
    "no repeats": {"no_repeat_ngram": 2},
    "coverage": {"coverage_penalty": 0.2},
    "lengths": {"min_length_ratio": 0.5, "length_penalty": 0.6},
    "prune": {"prune": 1.0},
    "bfloat16": {"precision": "bfloat16"},
    "int8": {"precision": "int8"},
    "ensemble": {"ensemble": True},
    "shortlist": {"shortlist": 5, "shortlist_common": 50},
    "few rows": {"batch_rows": 7, "batch_tokens": 20},
}


APART = {"greedy", "sampling", "minimum Bayes risk", "int8"}
"""What hides whether other ways do anything, or is not to be had on every processor."""
MOST_WAYS = 5  # in a set


def pairs_in(names: Sequence[str]) -> set[tuple[str, ...]]:
    """Every two ways that go together in a set, with nothing else set apart."""
    ordered = [name for name in WAYS if name in names]
    return {
        pair for pair in combinations(ordered, 2) if APART.intersection(pair) == APART.intersection(names)
    }


def fits(new: str, names: Sequence[str]) -> bool:
    """Whether it gives no option another value."""
    return not any(set(WAYS[new]) & set(WAYS[name]) for name in names)


def covering_sets() -> Iterator[list[str]]:
    """Few sets of ways in which every two that fit go together."""
    missing = [pair for pair in combinations(WAYS, 2) if fits(pair[0], pair[1:])]
    while missing:
        names = [*missing[0]]
        while len(names) < MOST_WAYS:
            fitting = [new for new in WAYS if fits(new, names)]
            names.append(max(fitting, key=lambda new: len(pairs_in([*names, new]).intersection(missing))))
        missing = [pair for pair in missing if pair not in pairs_in(names)]
        yield sorted(names, key=list(WAYS).index)


def translations(model: TranslationModel, ways: dict[str, Any]) -> list[Translation]:
    ways = {"beam_size": 4, "max_length_ratio": 0.5, **ways}
    if ways.get("precision") == "int8" and not choose_largest_weight():
        pytest.skip("no products of bytes on this processor")
    models = [model, model] if ways.pop("ensemble", False) else [model]
    prefix, required, nbest = ways.pop("prefix", ""), ways.pop("require", None), ways.pop("nbest", 1)
    if ways["beam_size"] == 1:
        nbest = 1
    translator = Translator(models, DecodingConfig(**ways), align_all=True, nbest=nbest)
    return translator.translate(
        LINES,
        prefixes=[prefix] * len(LINES),
        require=[[required] if required else [] for _ in LINES],
    )


@pytest.mark.parametrize("names", list(covering_sets()), ids=" with ".join)
def test_ways_go_together(linked_model: TranslationModel, names: list[str]) -> None:
    ways = {option: value for name in names for option, value in WAYS[name].items()}
    model = replace(linked_model, hmm_path=linked_model.hmm_path if "shortlist" in ways else None)
    found = translations(model, ways)
    assert [one.source for one in found] == LINES
    assert [one.text == "" for one in found] == [line == "" for line in LINES]
    alignments = align_pairs(model, [(one.source, each.text) for one in found for each in one.hypotheses])
    for one in found:
        for each, alignment in zip(one.hypotheses, one.alignments, strict=True):
            assert alignment.target == each.text
            expected = next(alignments).words()  # but for the last bits, which depend on the batch
            assert alignment.words() == replace(expected, links=pytest.approx(expected.links, abs=1e-5))
        if not one.num_parts:
            continue
        several = ways.get("samples", 1 if ways.get("beam_size") == 1 else ways.get("nbest", 1))
        assert 1 <= len(one.hypotheses) <= several
        for each in one.hypotheses:
            assert each.text.startswith(ways.get("prefix", ""))
            assert ways.get("require", "") in each.text
            assert not (ways.get("forbid") and FORBIDDEN in each.text.split())
            assert (each.utility is not None) == bool(ways.get("mbr"))
            assert sum(each.token_log_probs) == pytest.approx(each.log_prob, abs=1e-3)
