"""What training tells its caller as it goes: small values, drawn and logged elsewhere."""

from dataclasses import dataclass, field
from typing import Literal

from nmt.alignment import WordAlignment
from nmt.alignment.origin import LinkSource, Origin
from nmt.config.schema import Config
from nmt.corpus.weighting import num_wanted

DevOrigin = Literal["given", "held out", "training"]
"""Where the development pairs are from; the last: there are too few pairs to hold any out."""
ENDS = "a blank source line, of a pair that is dropped, ends one, and what else is dropped stays context"


@dataclass(frozen=True)
class DataReport:
    """What was read and what is left of it."""

    num_pairs: int
    num_kept: int
    num_dev: int
    num_dev_dropped: int  # given development pairs with a side that is empty or not UTF-8
    num_mended: int  # lines with U+FFFD for what was not UTF-8
    dropped: dict[str, int]  # reason -> pairs
    overlap: int  # development pairs that are also in the training text
    dev_from: DevOrigin
    src_vocab_size: int
    tgt_vocab_size: int
    corpora: tuple[int, ...] = ()  # pairs to train on of each pair of files
    num_documents: int = 0  # of the source, if pairs have context
    weights: tuple[float, ...] = ()  # how many times an epoch has them; none: all once

    @property
    def num_in_epoch(self) -> int:
        """Pairs that an epoch has, those that come again counted again."""
        if not self.weights:
            return self.num_kept
        return sum(map(num_wanted, self.corpora, self.weights))


@dataclass(frozen=True)
class StartReport:
    """What is about to be trained."""

    config: Config  # with everything that was measured
    num_parameters: int
    device: str
    step: int  # above zero: resumed
    max_steps: int
    notes: tuple[str, ...]  # what was measured, a sentence each


@dataclass(frozen=True)
class ChoiceReport:
    """What was chosen for a new training, and why, in a line."""

    text: str


@dataclass(frozen=True)
class StepReport:
    """Where training stands."""

    step: int
    max_steps: int
    epoch: int
    loss: float  # negative log-likelihood, nats per target token, over the steps since the last report
    learning_rate: float
    tokens_per_second: float  # real target tokens, data loading included, evaluation not
    seconds: float  # since the start, earlier parts of a resumed run included
    seconds_left: float
    consistency: float = 0.0  # divergence of both predictions, nats per target token, over the same steps


@dataclass(frozen=True)
class Sample:
    """One development sentence as the model translates it now."""

    reference: str
    alignment: WordAlignment


@dataclass(frozen=True)
class EvalReport:
    """How good the averaged weights are on the development set."""

    step: int
    max_steps: int
    epoch: int
    loss: float  # negative log-likelihood, nats per target token
    bleu: float  # the mean of all directions
    signature: str
    is_best: bool
    seconds: float
    sample: Sample
    bleu_by_direction: dict[str, float] = field(default_factory=dict)  # if there are several, as in `de-en`


@dataclass(frozen=True)
class NoteReport:
    """Something the user should know, in a sentence."""

    text: str


@dataclass(frozen=True)
class LinkingReport:
    """What is being learnt of links, in a few words."""

    doing: str


@dataclass(frozen=True)
class LinksReport:
    """What was learnt of links for a finished model."""

    num_pairs: int
    links_from: LinkSource
    alignment_layer: int
    agreement: dict[int, float]  # decoder layer from 1 -> agreement with the HMM aligners
    seconds: float


@dataclass(frozen=True)
class EndReport:
    """What came out."""

    step: int
    epochs: float  # passes over the data
    stopped: str  # why
    best_step: int
    bleu: float
    signature: str
    loss: float
    tokens_per_second: float
    seconds: float
    peak_memory: int  # bytes, see `nmt.hardware.peak_memory`; of a resumed run, since the last start
    alignment_layer: int
    agreement: dict[int, float]  # decoder layer from 1 -> agreement with the HMM aligners
    links_from: LinkSource
    link_seconds: float  # for all that links are made with
    link_pairs: int  # that it was learnt from
    tuning: dict[str, float] = field(default_factory=dict)  # see `nmt.training.tuning`
    bleu_by_direction: dict[str, float] = field(default_factory=dict)  # if there are several, as in `de-en`


Report = (
    DataReport
    | ChoiceReport
    | StartReport
    | StepReport
    | EvalReport
    | NoteReport
    | LinkingReport
    | LinksReport
    | EndReport
)


def as_line(report: Report) -> str:
    """A report in one plain line."""
    match report:
        case DataReport():
            return _data_line(report)
        case ChoiceReport():
            return report.text
        case StartReport():
            how = f"goes on from step {report.step:,}" if report.step else "begins"
            return (
                f"training {how}: {report.num_parameters:,} parameters, {report.device}, "
                f"{'; '.join((report.config.training.precision, *report.notes))}; "
                f"up to {report.max_steps:,} steps"
            )
        case StepReport():
            consistency = f"consistency {report.consistency:.3f}  " if report.consistency else ""
            return (
                f"step {report.step:,}/{report.max_steps:,}  epoch {report.epoch}  loss {report.loss:.3f}  "
                f"{consistency}lr {report.learning_rate:.2e}  {report.tokens_per_second:,.0f} tokens/s  "
                f"{clock(report.seconds)}, {clock(report.seconds_left)} left"
            )
        case EvalReport():
            best = "  best so far" if report.is_best else ""
            return f"step {report.step:,}  dev loss {report.loss:.3f}  dev BLEU {_bleu(report)}{best}"
        case NoteReport():
            return f"note: {report.text}"
        case LinkingReport():
            return f"links: {report.doing}"
        case LinksReport():
            return (
                f"done: links from {_origin(report)}, "
                f"learnt from {report.num_pairs:,} pairs in {clock(report.seconds)}"
            )
        case EndReport():
            return (
                f"done: {report.stopped}; best at step {report.best_step:,} of {report.step:,}: "
                f"dev BLEU {_bleu(report)}; links from {_origin(report)}, "
                f"learnt in {clock(report.link_seconds)}; took {clock(report.seconds)}"
                f"{f' and {report.peak_memory / 1e9:.1f} GB of memory' if report.peak_memory else ''}"
            )


def _origin(report: LinksReport | EndReport) -> Origin:
    """Where links come from; the HMM aligners read no layer."""
    return Origin(report.links_from, 0 if report.links_from == "hmm" else report.alignment_layer)


def _bleu(report: EvalReport | EndReport) -> str:
    """The score with its signature; of several directions each, and their mean."""
    each = "".join(f"{name} {value:.2f}, " for name, value in report.bleu_by_direction.items())
    return f"{each}{'mean ' if each else ''}{report.bleu:.2f} ({report.signature})"


def _data_line(report: DataReport) -> str:
    dev = {
        "given": f"{report.num_dev:,} development pairs",
        "held out": f"{report.num_dev:,} held out for development",
        "training": "too few to hold any out, so that they are the development pairs too",
    }[report.dev_from]
    if report.num_dev_dropped:
        dev += f" ({report.num_dev_dropped:,} more dropped: a side is empty or not UTF-8)"
    if report.dev_from == "given" and report.overlap:
        dev += f", {report.overlap:,} of them also in the training text, which flatters the scores"
    each = zip(report.weights, report.corpora, strict=False)
    epoch = " + ".join(f"{weight:g} × {count:,}" for weight, count in each)
    dropped = ", ".join(
        f"{reason} {count:,}" for reason, count in report.dropped.items() if reason != "held out"
    )
    return (
        f"data: {report.num_kept:,} of {report.num_pairs:,} pairs to train on, {dev}"
        f"{f'; an epoch has {report.num_in_epoch:,}: {epoch}' if epoch else ''}"
        f"{f'; dropped: {dropped}' if dropped else ''}"
        f"{f'; {report.num_documents:,} documents: {ENDS}' if report.num_documents else ''}"
        f"{f'; {report.num_mended:,} lines mended with U+FFFD' if report.num_mended else ''}"
    )


def clock(seconds: float) -> str:
    """Seconds as `1:02:03` or `2:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
