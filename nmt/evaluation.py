"""Scores of translations by sacreBLEU, each with its signature (Post, 2018)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest, Result

from nmt.errors import DataError, UsageError
from nmt.files import check_counts

MetricName = Literal["bleu", "chrf", "ter"]
BleuTokenizer = Literal["13a", "none", "char", "intl", "zh", "ja-mecab", "ko-mecab"]

_DETACHED = re.compile(r"\s[.,](?=\s|$)|@@(?=\s|$)|▁|&(?:apos|quot|#91|#93|#124);")
_ATTACHED = re.compile(r"\w[.,](?=\s|$)")


@dataclass(frozen=True)
class Scoring:
    """Which scores to compute, and on which view of the text."""

    metrics: tuple[MetricName, ...] = ("bleu",)
    tokenize: BleuTokenizer = "13a"
    """How BLEU cuts text into words."""
    lowercase: bool = False
    """Ignore case. TER ignores it either way, as is its custom; the signatures say so."""


@dataclass(frozen=True)
class Score:
    """One score of a whole text; `detail` holds what it is made of."""

    metric: str
    value: float
    signature: str
    detail: str


@dataclass(frozen=True)
class Estimate:
    """A score and half the width of its 95 % confidence interval."""

    value: float
    margin: float


@dataclass(frozen=True)
class Comparison:
    """Two translations of one text; `p_value`: how often chance alone would give such a difference."""

    metric: str
    baseline: Estimate
    system: Estimate
    p_value: float
    signature: str

    @property
    def difference(self) -> float:
        """The system's score minus the baseline's."""
        return self.system.value - self.baseline.value

    @property
    def is_better(self) -> bool:
        """Whether the system's score is better than the baseline's: higher, but for TER lower."""
        return self.difference < 0 if self.metric == "TER" else self.difference > 0


def check_parallel(texts: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Raise DataError unless all (name, lines) have the same number of lines, and it is not zero."""
    check_counts((name, len(lines)) for name, lines in texts)
    name, lines = texts[0]
    if not lines:
        raise DataError(f"{name} has 0 lines; there is nothing to score")


def looks_tokenized(lines: Iterable[str]) -> bool:
    """Whether more commas and full stops stand apart, or more traces of pieces and escapes are found, than
    commas and full stops that close a word: BLEU expects text as people write it."""
    detached = attached = 0
    for line in lines:
        detached += len(_DETACHED.findall(line))
        attached += len(_ATTACHED.findall(line))
    return detached > attached


def score(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], scoring: Scoring = Scoring()
) -> list[Score]:
    """Scores of the hypotheses against one or several reference translations of every line."""
    _check_texts([("the hypothesis", hypotheses)], references)
    return [_score(_metric(name, scoring), hypotheses, references) for name in scoring.metrics]


def compare(
    baseline: Sequence[str],
    system: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    scoring: Scoring = Scoring(),
    resamples: int = 1000,
) -> list[Comparison]:
    """Paired bootstrap test of two translations of the same lines (Koehn, 2004)."""
    _check_texts([("the baseline", baseline), ("the system", system)], references)
    metrics = {str(name): _metric(name, scoring) for name in scoring.metrics}
    systems = [("baseline", baseline), ("system", system)]
    signatures, results = PairedTest(systems, metrics, references, test_type="bs", n_samples=resamples)()
    return [
        _comparison(metric, cast("list[Result]", results[metric]), str(signature))
        for metric, signature in signatures.items()
    ]


def _comparison(metric: str, results: list[Result], signature: str) -> Comparison:
    baseline, system = (Estimate(float(result.score), float(cast(float, result.ci))) for result in results)
    p_value = cast(float, results[1].p_value)
    if baseline.value == system.value:  # sacreBLEU counts only larger differences: 1 / (resamples + 1) here
        p_value = 1.0
    return Comparison(metric, baseline, system, p_value, signature)


def _check_texts(systems: list[tuple[str, Sequence[str]]], references: Sequence[Sequence[str]]) -> None:
    texts = systems + [(f"reference {number}", lines) for number, lines in enumerate(references, start=1)]
    check_parallel(texts)


def _metric(name: MetricName, scoring: Scoring) -> Metric:
    if name == "chrf":
        return CHRF(lowercase=scoring.lowercase)
    if name == "ter":
        return TER()
    try:  # force: looks_tokenized says it better than sacreBLEU's log does
        return BLEU(tokenize=scoring.tokenize, lowercase=scoring.lowercase, force=True)
    except RuntimeError as error:  # the Japanese and Korean tokenizers are extras of sacreBLEU
        language = scoring.tokenize[:2]
        message = f"--tokenize {scoring.tokenize} needs: pip install 'sacrebleu[{language}]'"
        raise UsageError(message) from error


def _score(metric: Metric, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    result = metric.corpus_score(hypotheses, references)
    detail = f"{result.num_edits} edits" if isinstance(metric, TER) else result._verbose
    return Score(result.name, result.score, str(metric.get_signature()), detail)
