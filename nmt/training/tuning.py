"""Tunes the length penalty on the development set, from hypotheses that are searched for once."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from nmt.checkpoint import Direction, TranslationModel
from nmt.corpus.reading import Contexts, Pair
from nmt.decoding import Hypothesis, Translation, Translator
from nmt.evaluation import score
from nmt.training.data import TrainingData
from nmt.training.evaluate import PART

FEWEST_PAIRS = 200  # for fewer, what is best among them says little
LEAST_GAIN = 0.05  # BLEU
GRID = tuple(step / 5 for step in range(11))  # 0 to 2
LOOKS = 5  # about as long as so many looks at the development set with greedy search


@dataclass(frozen=True)
class Tuning:
    """The length penalty that is best on the development set, if it is so by more than a trifle."""

    length_penalty: float
    bleu: float  # the mean of all directions, as is the next one
    default: float  # the penalty before
    default_bleu: float
    num_pairs: int
    beam_size: int
    seconds: float

    def __str__(self) -> str:
        where = f"on {self.num_pairs:,} development pairs, beam {self.beam_size}"
        if self.length_penalty == self.default:
            return f"length penalty {self.default:g} stays: none is better by {LEAST_GAIN:g} BLEU {where}"
        return (
            f"length penalty {self.length_penalty:g} instead of {self.default:g}: "
            f"BLEU {self.bleu:.2f} instead of {self.default_bleu:.2f} {where}"
        )


def tune_length_penalty(
    model: TranslationModel, data: TrainingData, *, on_progress: Callable[[int], None] = lambda _: None
) -> Tuning | None:
    """Choose among `GRID` by BLEU of the best hypotheses of a beam; None if there is too little to choose by.

    A beam that has to be full of finished hypotheses finds the same ones whatever the penalty is.
    """
    started = time.perf_counter()
    most = model.config.training.dev_sentences
    pairs, contexts = data.dev_pairs[:most], data.dev_contexts[:most]
    decoding = model.config.decoding
    if len(pairs) < FEWEST_PAIRS or decoding.beam_size == 1:
        return None
    default, scores = decoding.length_penalty, dict[float, float]()
    sides = [_search(model, direction, pairs, contexts, on_progress) for direction in model.directions]
    for penalty in sorted({*GRID, default}):
        scores[penalty] = fmean(bleu(*side, penalty, default) for side in sides)
        on_progress(0)
    best = choose(scores, default)
    seconds = round(time.perf_counter() - started, 1)
    beam_size = decoding.beam_size
    return Tuning(best, scores[best], default, scores[default], len(pairs), beam_size, seconds)


def choose(scores: Mapping[float, float], default: float) -> float:
    """The penalty of the highest score, of equals the nearest to the default; that if it gains too little."""
    best = max(scores, key=lambda penalty: (scores[penalty], -abs(penalty - default)))
    return best if scores[best] > scores[default] + LEAST_GAIN else default


def bleu(
    translations: Sequence[Translation], references: Sequence[str], penalty: float, default: float
) -> float:
    """BLEU of the hypotheses that another length penalty than the default ranks first."""
    best = [
        max(each.hypotheses, key=lambda one: rescored(one, penalty, default, num_parts=each.num_parts)).text
        for each in translations
    ]
    return score(best, [references])[0].value


def rescored(hypothesis: Hypothesis, penalty: float, default: float, *, num_parts: int = 1) -> float:
    """The score with another length penalty; what it lost for want of coverage stays lost.

    `num_parts` of the line were translated one by one, each to an end of its own.
    """
    length = len(hypothesis.tokens) + max(1, num_parts)
    coverage = hypothesis.score - hypothesis.log_prob / math.pow(length, default)
    return hypothesis.log_prob / math.pow(length, penalty) + coverage


def _search(
    model: TranslationModel,
    direction: Direction,
    pairs: Sequence[Pair],
    contexts: Sequence[Contexts],
    on_progress: Callable[[int], None],
) -> tuple[list[Translation], list[str]]:
    """Translations with all hypotheses of the beams, and the references."""
    side = model.directions.index(direction)  # of the source
    sources, references = [pair[side] for pair in pairs], [pair[1 - side] for pair in pairs]
    before = [each[side] for each in contexts]
    decoding = replace(model.config.decoding, on_long="split", samples=0, mbr=False)
    to = direction.tgt_lang if direction.tag_ids else None
    translator = Translator(model, decoding, nbest=decoding.beam_size, to=to)
    found: list[Translation] = []
    for start in range(0, len(sources), PART):
        part = slice(start, start + PART)
        found += translator.translate(sources[part], before[part])
        on_progress(0)
    return found, references
