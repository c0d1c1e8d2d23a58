"""HMM aligners on pieces and words: words of whole pieces, and the mean of both worked by hand."""

import random

import pytest
import torch
from torch import Tensor

from nmt.alignment.text_aligner import CutLine, CutPair, TextAligner, train_text_aligner
from nmt.checkpoint import serialize

Spans = list[tuple[int, int]]


@pytest.mark.parametrize(
    ("line", "spans", "words", "word_of"),
    [
        pytest.param("Die Tür", [(0, 3), (4, 6), (6, 7)], ["die", "tür"], [0, 1, 1], id="split"),
        pytest.param("Tür. Ja", [(0, 2), (2, 4), (5, 7)], ["tür.", "ja"], [0, 0, 1], id="over two words"),
        pytest.param("New York", [(0, 8)], ["new york"], [0], id="over a space"),
        pytest.param("私は学生", [(0, 1), (1, 2), (2, 4)], ["私", "は", "学生"], [0, 1, 2], id="Japanese"),
        pytest.param("漢a", [(0, 1), (0, 1), (0, 1), (1, 2)], ["漢", "a"], [0, 0, 0, 1], id="bytes"),
        pytest.param("ﬁn", [(0, 1), (0, 1), (1, 2)], ["ﬁn"], [0, 0, 0], id="normalised"),
        pytest.param("👩‍👧!", [(0, 1), (1, 2), (2, 3), (3, 4)], ["👩‍👧", "!"], [0, 0, 0, 1], id="emoji"),
        pytest.param("É\u0301t", [(0, 1), (1, 2), (2, 3)], ["é\u0301t"], [0, 0, 0], id="combining mark"),
        pytest.param("שלום", [(0, 2), (2, 4)], ["שלום"], [0, 0], id="right to left"),
        pytest.param("", [], [], [], id="nothing"),
    ],
)  # fmt: skip
def test_words_are_made_of_whole_pieces(
    line: str, spans: Spans, words: list[str], word_of: list[int]
) -> None:
    cut = CutLine.of(line, list(range(len(spans))), spans)
    assert (cut.words, cut.word_of) == (words, word_of)


def lines(*texts: str) -> list[CutLine]:
    """Lines whose pieces are letters, with their place in the alphabet as number."""
    cut = []
    for text in texts:
        spans = [(i, i + 1) for i, letter in enumerate(text) if letter != " "]
        cut.append(CutLine.of(text, [ord(text[start]) - ord("a") for start, _ in spans], spans))
    return cut


def copies(count: int) -> list[CutPair]:
    """Words of a few letters, and the same in other letters, from the last to the first."""
    generator = random.Random(1)
    pairs = []
    for _ in range(count):
        words = generator.choices(["ab", "cd", "e", "fgh", "ijk", "l"], k=generator.randint(2, 4))
        back = [word.translate({ord(x): chr(ord(x) + 12) for x in word}) for word in reversed(words)]
        src, tgt = lines(" ".join(words), " ".join(back))
        pairs.append((src, tgt))
    return pairs


@pytest.fixture(scope="module")
def aligner() -> TextAligner:
    return train_text_aligner(copies(150), vocab_sizes=(26, 26), is_joint=True)


def assert_sums(links: tuple[Tensor, Tensor]) -> None:
    forward, backward = links
    assert float(forward.min()) >= 0
    assert float(backward.min()) >= 0
    assert float(forward.sum(1).max()) <= 1 + 1e-5
    assert float(backward.sum(0).max()) <= 1 + 1e-5


def test_it_finds_words_and_their_order_and_no_row_has_more_than_all(aligner: TextAligner) -> None:
    [links] = aligner.posteriors([tuple(lines("ab cd e", "q op mn"))])
    for each in links:
        assert each[0].argmax() == 4
        assert set(each[1:3].argmax(1).tolist()) <= {2, 3}
        assert set(each[3:].argmax(1).tolist()) <= {0, 1}
    for found in (links, *aligner.posteriors(copies(20)), *aligner.posteriors([tuple(lines("zz", "yxz w"))])):
        assert_sums(found)


def test_the_mean_of_both_worked_by_hand(aligner: TextAligner) -> None:
    """What a word has is divided among the pieces it is to be found in, on the other side it is of each."""
    src, tgt = lines("ab e", "q mn")
    [(forward, backward)] = aligner.posteriors([(src, tgt)])
    pieces = aligner.of_pieces.posteriors(src.piece_ids, tgt.piece_ids)
    numbers = [[aligner.words[word] for word in line.words] for line in (src, tgt)]
    words = aligner.of_words.posteriors(*numbers)
    for t, w in enumerate((0, 1, 1)):
        for s, (v, share) in enumerate(((0, 1 / 2), (0, 1 / 2), (1, 1))):
            assert forward[t, s] == pytest.approx((pieces[0][t, s] + words[0][w, v] * share) / 2)
            assert backward[t, s] == pytest.approx((pieces[1][t, s] + words[1][w, v] / (1, 2)[w]) / 2)


def test_a_batch_is_as_each_alone(aligner: TextAligner) -> None:
    pairs = copies(9)
    for pair, links in zip(pairs, aligner.posteriors(pairs), strict=True):
        [alone] = aligner.posteriors([pair])
        for one, other in zip(links, alone, strict=True):
            torch.testing.assert_close(one, other)
    assert aligner.posteriors([]) == []


def test_unknown_words_are_the_same_if_they_are_equal(aligner: TextAligner) -> None:
    assert aligner._word_ids(*lines("xyz e w", "e xyz v")) == (
        [len(aligner.words), aligner.words["e"], len(aligner.words)],
        [aligner.words["e"], len(aligner.words), len(aligner.words) + 1],
    )
    [(equal, _)], [(unequal, _)] = (
        aligner.posteriors([tuple(lines("e xyz", other))]) for other in ("q xyz", "q zxy")
    )
    assert float(equal[1:, 1:].sum()) > float(unequal[1:, 1:].sum())


def test_two_tokenizers_are_not_taken_for_one() -> None:
    """Ids of one and the other are alike by chance: nothing is to be equal for that."""
    generator = random.Random(2)
    words = [[generator.randrange(8) for _ in range(4)] for _ in range(40)]
    pairs = [
        (CutLine(ids, [f"s{i}" for i in ids], [*range(4)]), CutLine(tgt, [f"t{i}" for i in tgt], [*range(4)]))
        for ids in words
        for tgt in [[(id + 1) % 8 for id in ids]]
    ]
    apart = train_text_aligner(pairs, vocab_sizes=(8, 8), is_joint=False)
    assert (apart.first_of_target, apart.of_pieces.vocab_size) == (8, 16)
    is_same = apart.of_pieces.keys // 16 == apart.of_pieces.keys % 16
    assert not bool(is_same.any())
    for (src, tgt), (forward, _) in zip(pairs[:5], apart.posteriors(pairs[:5]), strict=True):
        best = forward.argmax(1).tolist()
        assert [(src.piece_ids[i] + 1) % 8 for i in best] == tgt.piece_ids
    for lexicon, step in ((apart.lexicon(), 1), (apart.lexicon(is_turned=True), -1)):
        likely = lexicon.probs > 0.5
        table = dict(zip(lexicon.src[likely].tolist(), lexicon.tgt[likely].tolist(), strict=True))
        assert table == {id: (id + step) % 8 for id in range(8)}


def test_the_state_gives_the_same_aligner_whatever_the_words_are() -> None:
    odd = ["a\udc80b \x85", "é\u2028ß 👩‍👧", "\x00\x0b\x1c", "שלום 私は", "der Hund"]
    cut = []
    for line in odd:
        spans = [(i, i + 1) for i in range(len(line))]
        cut.append(CutLine.of(line, [ord(x) % 50 for x in line], spans))
    pairs = list(zip(cut, reversed(cut), strict=True))
    aligner = train_text_aligner(pairs, vocab_sizes=(50, 50), is_joint=True)
    state = aligner.state()
    assert serialize(state)  # it goes into a file
    found = TextAligner.from_state(state)
    assert found.words == aligner.words
    assert list(found.words) == list(aligner.words)
    assert found.first_of_target == aligner.first_of_target
    for one, other in zip(found.posteriors(pairs), aligner.posteriors(pairs), strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
