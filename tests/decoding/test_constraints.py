"""Required and forbidden phrases: against all hypotheses of small tables, and as a network translates."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nmt.checkpoint import TranslationModel
from nmt.config import DecodingConfig
from nmt.corpus.words import is_in_word
from nmt.decoding import Found, Room, Rules, Sentence, Translator, search
from nmt.decoding.constraints import bank_choice
from nmt.decoding.demands import Demands, Progress, Required
from nmt.decoding.phrases import Forbidden, PieceTexts, as_phrase
from nmt.decoding.translation import RequestError

BOS, EOS = 0, 1
TEXTS = ["", "", " a", "b", " ab", "."]
PIECES = PieceTexts(TEXTS)
RULES = Rules(bos_id=BOS, eos_id=EOS, banned=(BOS,))
WIDE = replace(RULES, beam_size=1300)
ROOM = Room(rows=10_000, src_tokens=1000)
LINES = ["Der Hund schläft.", "Die kleine Katze sieht den großen Hund im Garten.", "Ja!"]


class Table:
    """A decoder whose logits are a function of the sentence and everything read."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, ...]] = []

    def admit(self, sources: Sequence[list[int]]) -> None:
        self.rows += [(source[0],) for source in sources]

    def step(self, parents: Tensor, tokens: Tensor) -> Tensor:
        pairs = zip(parents.tolist(), tokens.tolist(), strict=True)
        self.rows = [(*self.rows[parent], token) for parent, token in pairs]
        return torch.stack([logits_after(row) for row in self.rows])


def logits_after(row: tuple[int, ...]) -> Tensor:
    return 2 * torch.randn(len(TEXTS), generator=torch.Generator().manual_seed(hash(row) % 2**31))


def sentence(number: int, max_length: int, demands: Demands | None = None, **facts: object) -> Sentence:
    return Sentence([number], max_length=max_length, demands=demands, **facts)  # type: ignore[arg-type]


def searched(sentences: Sequence[Sentence], rules: Rules) -> list[list[Found]]:
    return [found for _, found in sorted(search(Table(), sentences, rules, ROOM), key=lambda pair: pair[0])]


def text_of(tokens: Sequence[int]) -> str:
    return "".join(TEXTS[token] for token in tokens)


def contains(text: str, phrase: str) -> bool:
    """Whether a phrase is in a text as words of its own."""
    text = as_phrase(text)
    for start in range(len(text)):
        end = start + len(phrase)
        goes_on = end < len(text) and is_in_word(phrase[-1]) and is_in_word(text[end])
        went_before = start > 0 and is_in_word(phrase[0]) and is_in_word(text[start - 1])
        if text.startswith(phrase, start) and not (goes_on or went_before):
            return True
    return False


def comes(phrase: Required, tokens: Sequence[int]) -> bool:
    """Whether the tokens of a phrase come one after the other, and its last word ends there."""
    size = len(phrase.tokens)
    ends = range(size, len(tokens) + 1)
    return any(
        tuple(tokens[end - size : end]) == phrase.tokens
        and (end == len(tokens) or tokens[end] not in phrase.longer)
        for end in ends
    )


def best(number: int, max_length: int, allows: Callable[[tuple[int, ...]], bool], n: int) -> list[Found]:
    """The n best of all hypotheses that a rule allows."""
    found = []
    for length in range(max_length + 1):
        for tokens in itertools.product(range(2, len(TEXTS)), repeat=length):
            if allows(tokens):
                rows = [(number, BOS, *tokens[:i]) for i in range(length + 1)]
                steps = zip(rows, (*tokens, EOS), strict=True)
                log_prob = sum(float(logits_after(row).log_softmax(-1)[token]) for row, token in steps)
                found.append(Found(list(tokens), log_prob, RULES.score(log_prob, length + 1)))
    return sorted(found, key=lambda one: -one.score)[:n]


A_B, AB, DOT = Required((2, 3), PIECES.inside), Required((4,), PIECES.inside), Required((5,))
DEMANDS = {
    "nothing": Demands(),
    "a phrase": Demands((A_B,)),
    "a mark": Demands((DOT,)),
    "two": Demands((AB, DOT)),
    "not a word": Demands(forbidden=Forbidden(["ab"], PIECES)),
    "not several": Demands(forbidden=Forbidden(["a", "ab a", "."], PIECES)),
}
NARROW = {  # near the limit room is kept for all of each phrase, and for something between two
    **DEMANDS,
    "one within another": Demands((A_B, Required((3,)))),
    "the same pieces": Demands((Required((2, 2, 5)), Required((2,)))),
    "three that begin alike": Demands((Required((2, 3)), Required((2, 4)), Required((2, 5)))),
    "some and not others": Demands((DOT, AB), Forbidden(["a", ". ab"], PIECES)),
}


@pytest.mark.parametrize("demands", DEMANDS.values(), ids=DEMANDS.keys())
def test_a_wide_beam_finds_the_best_that_meets_the_demands(demands: Demands) -> None:
    def allows(tokens: tuple[int, ...]) -> bool:
        phrases = demands.forbidden.phrases if demands.forbidden else ()
        has_all = all(comes(phrase, tokens) for phrase in demands.required)
        return has_all and not any(contains(text_of(tokens), phrase) for phrase in phrases)

    for number, max_length in ((0, 5), (1, 4), (2, 3)):
        expected = best(number, max_length, allows, 6)
        found = searched([sentence(number, max_length, demands)], replace(WIDE, nbest=6))[0]
        assert [one.tokens for one in found] == [one.tokens for one in expected]
        assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=1e-4)


@pytest.mark.parametrize("demands", NARROW.values(), ids=NARROW.keys())
@pytest.mark.parametrize("beam_size", [1, 2, 4])
def test_a_narrow_beam_meets_the_demands(beam_size: int, demands: Demands) -> None:
    rules = replace(RULES, beam_size=beam_size, nbest=beam_size)
    found = searched([sentence(number, 12, demands) for number in range(8)], rules)
    for hypotheses in found:
        assert hypotheses
        for one in hypotheses:
            assert len(one.tokens) <= 12
            assert all(comes(phrase, one.tokens) for phrase in demands.required)
            for phrase in demands.forbidden.phrases if demands.forbidden else ():
                assert not contains(text_of(one.tokens), phrase)


@pytest.mark.parametrize("prune", [0.0, 0.5])
@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_sentence_without_demands_is_as_ever_beside_one_with(beam_size: int, prune: float) -> None:
    rules = replace(RULES, beam_size=beam_size, prune=prune)
    plain = [sentence(number, 9) for number in range(9)]
    kinds = itertools.cycle(NARROW.values())
    mixed = [replace(each, demands=next(kinds)) if i % 2 else each for i, each in enumerate(plain)]
    expected, found = searched(plain, rules), searched(mixed, rules)
    assert found[::2] == expected[::2]
    for given, one in zip(mixed, found, strict=True):
        assert searched([given], rules)[0] == one


def test_a_rest_that_just_fits_is_forced() -> None:
    demands = Demands((Required((2, 3, 5)), Required((4, 4))))
    for beam_size in (1, 3, 10):
        for number in range(4):
            found = searched([sentence(number, 5, demands)], replace(RULES, beam_size=beam_size))[0]
            assert sorted(found[0].tokens) == [2, 3, 4, 4, 5]


def test_what_can_not_be_had_is_not_found() -> None:
    demands = Demands((AB,), Forbidden(["ab"], PIECES))
    assert searched([sentence(0, 4, demands)], replace(RULES, beam_size=3)) == [[]]


@pytest.mark.parametrize(
    ("num_left", "width", "total", "kept"),
    [
        ([2, 2, 2, 1, 1, 0], 3, 2, [0, 3, 5]),  # a place for each
        ([2, 2, 2, 1, 1, 0], 4, 2, [0, 1, 3, 5]),  # and the best of all
        ([2, 2, 2, 2], 3, 2, [0, 1, 2]),  # empty banks leave their places to others
        ([2, 1, 0], 1, 2, [0]),  # one bank for all
        ([4, 4, 3, 2, 0], 2, 4, [0, 3]),
        ([], 3, 2, []),
    ],
)
def test_banks_share_the_beam(num_left: list[int], width: int, total: int, kept: list[int]) -> None:
    assert bank_choice(num_left, width, total) == kept


# Translations


def translator(model: TranslationModel, *, nbest: int = 1, **options: object) -> Translator:
    return Translator(model, DecodingConfig(max_length_ratio=0.3, **options), nbest=nbest)  # type: ignore[arg-type]


@pytest.mark.parametrize("beam_size", [1, 3])
def test_everything_is_asked_of_a_line_at_once(tiny_model: TranslationModel, beam_size: int) -> None:
    found = translator(
        tiny_model, beam_size=beam_size, nbest=beam_size, no_repeat_ngram=2, forbid=("s",)
    ).translate(
        LINES,
        prefixes=["", "The little ", "We"],
        require=[["big dog", "garden."], ["the dog"], []],
        forbid=[["cat"], ["cat", "dog."], ["We", "We are"]],
    )
    assert found[1].text.startswith("The little ")
    assert found[2].text.startswith("We")
    phrases = [(["big dog", "garden."], ["cat", "s"]), (["the dog"], ["cat", "dog.", "s"]), ([], ["We", "s"])]
    for translation, (required, forbidden) in zip(found, phrases, strict=True):
        assert len(translation.hypotheses) == beam_size
        for one in translation.hypotheses:
            assert all(contains(one.text, phrase) for phrase in required), one.text
            assert not any(contains(one.text, phrase) for phrase in forbidden), one.text


@pytest.mark.parametrize("beam_size", [1, 2])
def test_what_a_model_likes_best_can_be_forbidden_word_by_word(
    tiny_model: TranslationModel, beam_size: int
) -> None:
    forbid: list[str] = []
    for _ in range(5):
        found = translator(tiny_model, beam_size=beam_size, forbid=tuple(forbid)).translate(LINES[:1])[0]
        assert not any(contains(found.text, phrase) for phrase in forbid)
        words = found.text.split()
        forbid.append(words[len(words) // 2])


def test_the_parts_of_a_long_line_meet_the_demands_together(tiny_model: TranslationModel) -> None:
    line = " ".join(LINES * 12)
    longest = tiny_model.config.data.max_length
    assert len(tiny_model.src_tokenizer.encode(line)) > longest
    found = translator(tiny_model, beam_size=2).translate(
        [line], prefixes=["Two "], require=[["big dog", "garden.", "cat"]], forbid=[["the"]]
    )[0]
    assert found.num_parts > 1
    assert found.text.startswith("Two ")
    assert all(contains(found.text, phrase) for phrase in ("big dog", "garden.", "cat"))
    assert not contains(found.text, "the")


def test_demands_of_one_line_change_nothing_in_another(tiny_model: TranslationModel) -> None:
    plain = translator(tiny_model, beam_size=3)
    found = plain.translate(LINES, require=[[], ["the dog"], []], forbid=[[], ["cat"], []])
    expected = plain.translate(LINES)
    assert [each.text for each in found[::2]] == [each.text for each in expected[::2]]
    for one, other in zip(found[::2], expected[::2], strict=True):
        assert one.hypotheses[0].score == pytest.approx(other.hypotheses[0].score, abs=1e-5)
    assert found[1].text != expected[1].text


def test_a_blank_line_stays_blank_whatever_is_asked_of_it(tiny_model: TranslationModel) -> None:
    found = translator(tiny_model, beam_size=2).translate([" "], prefixes=["The"], require=[["dog"]])
    assert found[0].text == ""


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"require": ["New York"], "forbid": ["York"]},
            "required phrase 'New York' has a forbidden one in it",
        ),
        ({"require": ["dog"], "forbid": ["dog"]}, "required phrase 'dog' has a forbidden one in it"),
        ({"prefix": "The dog sleeps", "forbid": ["dog"]}, "prefix 'The dog sleeps' has a forbidden phrase"),
        ({"require": [" "]}, "a required phrase is blank"),
        ({"forbid": [""]}, "a forbidden phrase is blank"),
        ({"prefix": "a\nb"}, "the model can not write"),
    ],
)
def test_demands_that_contradict_each_other_are_an_error(
    tiny_model: TranslationModel, request_: dict[str, object], message: str
) -> None:
    given = {
        "prefixes": ["", request_.get("prefix", "")],
        "require": [[], request_.get("require", [])],
        "forbid": [[], request_.get("forbid", [])],
    }
    with pytest.raises(RequestError, match=message) as raised:
        translator(tiny_model).translate(LINES[:2], **given)  # type: ignore[arg-type]
    assert str(raised.value).startswith("line 2: ")
    assert "\n" not in str(raised.value)


def test_a_word_that_a_prefix_begins_with_may_go_on(tiny_model: TranslationModel) -> None:
    found = translator(tiny_model).translate(LINES[:1], prefixes=["The do"], forbid=[["do"]])[0]
    assert found.text.startswith("The do")
    assert not contains(found.text, "do")


def test_only_one_of_the_phrases_that_begin_alike_goes_on() -> None:
    begun = Progress((Required((2, 3)), Required((2, 4)), Required((2, 5)))).after(2)
    assert begun.num_left == 5
    assert begun.wanted == {2: 5, 3: 4, 4: 4, 5: 4}
    assert begun.after(4).num_left == 4


@pytest.mark.parametrize("beam_size", [1, 5])
def test_words_that_begin_alike_all_come(tiny_model: TranslationModel, beam_size: int) -> None:
    words = ["house", "houses", "garden", "gardens", "\u6771\u4eac", "\u5927\u962a", "\u4eac\u90fd"]
    translator = Translator(tiny_model, replace(tiny_model.config.decoding, beam_size=beam_size))
    for some in itertools.combinations(words, 3):
        [found] = translator.translate(["Ja!"], require=[some])
        assert all(contains(found.text, word) for word in some), (some, found.text)
