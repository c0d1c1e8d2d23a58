"""Minimum Bayes risk: which of several translations is most like all the others, by chrF."""

# n texts, G n-grams of a length in all of them

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from nmt.decoding.hypothesis import Hypothesis

CHAR_ORDER = 6
BETA = 2


def by_utility(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Hypotheses with their utilities, the most useful first; of equals the one of the better score."""
    each = zip(hypotheses, utilities([one.text for one in hypotheses]), strict=True)
    judged = [replace(one, utility=utility) for one, utility in each]
    return sorted(judged, key=lambda one: -(one.utility or 0.0))


def utilities(texts: Sequence[str]) -> list[float]:
    """The mean chrF, 0 to 100, of every text against the others (Eikema & Aziz, 2020; Freitag et al., 2022).

    The text with the highest is the translation of minimum Bayes risk, if they are samples of a model. Takes
    n² scores of the n texts that differ; one that occurs several times counts as often. Of one alone it is 0.
    """
    counts = Counter(texts)
    if len(texts) < 2:
        return [0.0] * len(texts)
    scores = pairwise_chrf(list(counts))
    total = scores @ torch.tensor(list(counts.values()), dtype=scores.dtype) - scores.diagonal()
    mean = dict(zip(counts, (total / (len(texts) - 1)).tolist(), strict=True))
    return [mean[text] for text in texts]


def pairwise_chrf(texts: Sequence[str]) -> Tensor:
    """chrF (n, n), 0 to 100, of every text with every other as its reference (Popović, 2015).

    As sacreBLEU computes it, which takes apart the texts anew for every score: here that is done once.
    """
    precision, recall, orders = torch.zeros(3, len(texts), len(texts), dtype=torch.float64)
    for order in range(1, CHAR_ORDER + 1):
        counts = _ngram_counts(texts, order)  # (n, G)
        totals = counts.sum(1)  # (n,)
        # |x - y| over all n-grams is |x| + |y| less twice what they have in common
        common = (totals[:, None] + totals - torch.cdist(counts, counts, p=1)).double() / 2  # (n, n)
        both = (totals[:, None] > 0) & (totals > 0)
        precision += (common / totals[:, None]).where(both, 0)
        recall += (common / totals).where(both, 0)
        orders += both
    precision, recall = precision / orders.clamp(min=1), recall / orders.clamp(min=1)
    both = precision + recall > 0
    score = (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)
    chrf: Tensor = 100 * score.where(both, 0)
    return chrf


def _ngram_counts(texts: Sequence[str], order: int) -> Tensor:
    """How often every text has each n-gram of characters, white space left out, (n, G) float32."""
    column: dict[str, int] = {}
    rows, columns = [], []
    for row, text in enumerate(texts):
        characters = "".join(text.split())
        for start in range(len(characters) - order + 1):
            rows.append(row)
            columns.append(column.setdefault(characters[start : start + order], len(column)))
    counts = torch.zeros(len(texts), len(column))
    places = torch.tensor([rows, columns], dtype=torch.int64)
    return counts.index_put_((places[0], places[1]), torch.ones(()), accumulate=True)
