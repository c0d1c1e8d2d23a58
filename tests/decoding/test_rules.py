"""Rules on tables small enough to enumerate: what is left of all hypotheses, ranked, is the truth."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nmt.checkpoint import TranslationModel
from nmt.config import DecodingConfig
from nmt.decoding import Found, Room, Rules, Sentence, Translator, search
from nmt.errors import ConfigError
from nmt.tokenizer import BOS_ID, EOS_ID

BOS, EOS, VOCAB_SIZE = 0, 1, 6
RULES = Rules(bos_id=BOS, eos_id=EOS, banned=(BOS,))
WIDE = replace(RULES, beam_size=300)
ROOM = Room(rows=10_000, src_tokens=1000)


class Table:
    """A decoder whose logits, and what it looks at, are a function of the sentence and everything read."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, ...]] = []
        self.watched: Tensor | None = None

    def admit(self, sources: Sequence[list[int]]) -> None:
        self.rows += [(source[0],) for source in sources]

    def step(self, parents: Tensor, tokens: Tensor) -> Tensor:
        pairs = zip(parents.tolist(), tokens.tolist(), strict=True)
        self.rows = [(*self.rows[parent], token) for parent, token in pairs]
        self.watched = torch.stack([looks_at(row) for row in self.rows])
        return torch.stack([logits_after(row) for row in self.rows])


def logits_after(row: tuple[int, ...]) -> Tensor:
    return 2 * torch.randn(VOCAB_SIZE, generator=torch.Generator().manual_seed(hash(row) % 2**31))


def looks_at(row: tuple[int, ...]) -> Tensor:
    """Attention to the two tokens of every source, and to its end."""
    generator = torch.Generator().manual_seed(hash((*row, 7)) % 2**31)
    return torch.randn(3, generator=generator).softmax(-1)


def sentence(number: int, max_length: int = 3, **facts: object) -> Sentence:
    return Sentence([number, number], max_length=max_length, **facts)  # type: ignore[arg-type]


def every_hypothesis(number: int, max_length: int, rules: Rules) -> list[Found]:
    """All that there are, the best first."""
    free = [token for token in range(VOCAB_SIZE) if token != EOS and token not in rules.banned]
    found = []
    for length in range(max_length + 1):
        for tokens in itertools.product(free, repeat=length):
            rows = [(number, BOS, *tokens[:i]) for i in range(length + 1)]
            steps = zip(rows, (*tokens, EOS), strict=True)
            log_prob = sum(float(logits_after(row).log_softmax(-1)[token]) for row, token in steps)
            covered = sum((looks_at(row) for row in rows[1:]), torch.zeros(3))[:2]
            penalty = rules.coverage_penalty * float(covered.clamp(1e-6, 1).log().sum())
            found.append(Found(list(tokens), log_prob, rules.score(log_prob, length + 1) + penalty))
    return sorted(found, key=lambda one: -one.score)


def searched(sentences: Sequence[Sentence], rules: Rules) -> list[list[Found]]:
    return [found for _, found in sorted(search(Table(), sentences, rules, ROOM), key=lambda pair: pair[0])]


def assert_equals_truth(
    given: Sentence, rules: Rules, allows: Callable[[tuple[int, ...]], bool] = lambda _: True
) -> None:
    """The n best of a wide beam are the n best of all hypotheses that a rule allows."""
    expected = [
        one for one in every_hypothesis(given.source[0], given.max_length, rules) if allows(tuple(one.tokens))
    ]
    found = searched([given], rules)[0]
    assert [one.tokens for one in found] == [one.tokens for one in expected[: rules.nbest]]
    scores = [one.score for one in expected[: rules.nbest]]
    assert [one.score for one in found] == pytest.approx(scores, abs=1e-4)


def repeats(tokens: tuple[int, ...], n: int) -> bool:
    runs = [tokens[i : i + n] for i in range(len(tokens) - n + 1)]
    return len(set(runs)) < len(runs)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("number", range(3))
def test_no_run_of_n_tokens_comes_twice(n: int, number: int) -> None:
    rules = replace(WIDE, no_repeat_ngram=n, nbest=20, length_penalty=3.0, banned=(BOS, 4, 5), beam_size=99)
    given = sentence(number, max_length=6)
    assert any(repeats(tuple(one.tokens), n) for one in every_hypothesis(number, 6, rules)[:20])
    assert_equals_truth(given, rules, lambda tokens: not repeats(tokens, n))


@pytest.mark.parametrize("number", range(3))
def test_a_translation_is_as_long_as_it_must_be(number: int) -> None:
    rules = replace(WIDE, nbest=5, length_penalty=0.0)
    assert_equals_truth(sentence(number, min_length=2), rules, lambda tokens: len(tokens) >= 2)


@pytest.mark.parametrize("nbest", [1, 5])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
@pytest.mark.parametrize("coverage_penalty", [0.1, 2.0])
def test_a_wide_beam_with_a_coverage_penalty_finds_the_best(
    nbest: int, length_penalty: float, coverage_penalty: float
) -> None:
    rules = replace(
        WIDE, nbest=nbest, length_penalty=length_penalty, coverage_penalty=coverage_penalty, beam_size=500
    )
    for number in range(4):
        assert_equals_truth(sentence(number), rules)


def test_coverage_follows_the_rows_of_a_narrow_beam() -> None:
    rules = replace(RULES, beam_size=3, nbest=3, coverage_penalty=0.5)
    limits = [5, 2, 4, 3]
    found = searched([sentence(number, limit) for number, limit in enumerate(limits)], rules)
    for number, (limit, hypotheses) in enumerate(zip(limits, found, strict=True)):
        scores = {tuple(one.tokens): one.score for one in every_hypothesis(number, limit, rules)}
        assert hypotheses
        for one in hypotheses:
            assert one.score == pytest.approx(scores[tuple(one.tokens)], abs=1e-4)


@pytest.mark.parametrize("prefix", [(2,), (5, 5), (4, 3, 2)])
def test_every_translation_begins_with_the_prefix(prefix: tuple[int, ...]) -> None:
    def begins(tokens: tuple[int, ...]) -> bool:
        return tokens[: len(prefix)] == prefix

    assert_equals_truth(sentence(1, prefix=prefix), replace(WIDE, nbest=4), begins)
    for rules in (RULES, replace(RULES, beam_size=3, nbest=2)):
        assert all(begins(tuple(one.tokens)) for one in searched([sentence(1, prefix=prefix)], rules)[0])


def test_a_prefix_comes_before_all_other_rules() -> None:
    rules = replace(RULES, no_repeat_ngram=1, banned=(BOS, 4))
    found = searched([sentence(1, 5, prefix=(4, 4, 3))], rules)[0][0]
    assert found.tokens[:3] == [4, 4, 3]


def test_what_may_follow_a_prefix_follows_it() -> None:
    given = sentence(2, prefix=(3,), after_prefix=(2, 5))
    assert_equals_truth(
        given,
        replace(WIDE, nbest=6),
        lambda tokens: tokens[:1] == (3,) and tokens[1:2] in ((2,), (5,)),
    )


@pytest.mark.parametrize("beam_size", [1, 3])
def test_sentences_without_a_prefix_are_as_ever_beside_one(beam_size: int) -> None:
    rules = replace(RULES, beam_size=beam_size, nbest=beam_size)
    plain = [sentence(number, 6) for number in range(4)]
    mixed = [replace(each, prefix=(3, 2)) if i % 2 else each for i, each in enumerate(plain)]
    expected, found = searched(plain, rules), searched(mixed, rules)
    assert found[::2] == expected[::2]
    assert all(one.tokens[:2] == [3, 2] for hypotheses in found[1::2] for one in hypotheses)


def test_the_coverage_of_a_network_is_its_attention_to_the_source(tiny_model: TranslationModel) -> None:
    line = "Die kleine Katze sieht den Hund."
    config = DecodingConfig(beam_size=4, coverage_penalty=0.3, max_length_ratio=0.1)
    layer = tiny_model.config.model.alignment_layer - 1
    source = tiny_model.src_tokenizer.encode(line)
    for one in Translator(tiny_model, config, nbest=4).translate(["Ja!", line])[1].hypotheses:
        with torch.no_grad():
            states = tiny_model.network.encode(torch.tensor([[*source, EOS_ID]]))
            target = torch.tensor([[BOS_ID, *one.tokens]])
            decoded = tiny_model.network.decode(target, states, attention_layers=[layer])
        covered = decoded.attention[layer][0].mean(0)[1:, : len(source)].sum(0)
        expected = one.log_prob / (len(one.tokens) + 1) + 0.3 * float(covered.clamp(max=1).log().sum())
        assert one.score == pytest.approx(expected, abs=1e-4)


def test_the_length_of_a_translation_is_at_least_a_share_of_its_source(tiny_model: TranslationModel) -> None:
    line = "Der Hund schläft."
    num_pieces = len(tiny_model.src_tokenizer.encode(line))
    config = DecodingConfig(beam_size=2, min_length_ratio=1.5, max_length_ratio=2.0, length_penalty=0.0)
    tokens = Translator(tiny_model, config).translate([line])[0].hypotheses[0].tokens
    assert len(tokens) >= 1.5 * num_pieces


@pytest.mark.parametrize(
    "option",
    [
        {"min_length_ratio": -1.0},
        {"min_length_ratio": 4.0},
        {"no_repeat_ngram": -1},
        {"coverage_penalty": -0.1},
        {"forbid": ("dog", " ")},
    ],
)
def test_an_option_without_sense_is_refused(option: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"decoding.{next(iter(option))} is"):
        DecodingConfig(**option)  # type: ignore[arg-type]
