"""How often an epoch has the pairs of corpora with weights."""

import pytest

from nmt.corpus.weighting import num_wanted, rows_of_epoch


@pytest.mark.parametrize(
    ("num_pairs", "weight", "expected"),
    [(100, 1, 100), (100, 2.5, 250), (100, 0.25, 25), (100, 0.001, 1), (1, 0.1, 1), (0, 0.1, 0), (0, 3, 0)],
)
def test_an_epoch_has_at_least_one_pair_of_a_corpus_that_has_any(
    num_pairs: int, weight: float, expected: int
) -> None:
    assert num_wanted(num_pairs, weight) == expected
    ends, weights = (5, 5 + num_pairs), (1, weight)
    rows = rows_of_epoch(ends, weights, seed=1, epoch=1) % (5 + num_pairs)
    assert [number for number in rows.tolist() if number < 5] == [0, 1, 2, 3, 4]
    assert len(rows) == 5 + expected
