"""Where links come from, which every table, file and score tells."""

from dataclasses import dataclass
from typing import Any, Literal

from nmt.config.schema import LinksFrom
from nmt.corpus.links import Method

LinkSource = Literal["attention", "head", "hmm"]
"""The cross-attention as it is, the align head on its states, or the HMM aligners on the text."""

_NAMES: dict[LinkSource, str] = {"attention": "attention", "head": "align head", "hmm": "HMM aligners"}

LEAST_FIT: dict[LinkSource, float] = {"attention": 0.25, "head": 0.3, "hmm": 0.25}
"""Words that fit each other less well (see `two_way`) are not linked, unless a threshold was chosen."""

FEWEST_PAIRS = 6_000
"""An align head that was trained on fewer pairs links no better than the HMM aligners it learnt from."""


def source_of_links(asked: LinksFrom, *, has_head: bool, has_hmm: bool, num_pairs: int | None) -> LinkSource:
    """Where links come from: what is asked for, or else the best there is, by the table in recipes/alignment.

    `num_pairs` are those that head and HMM aligners learnt from, None if that is not told.
    """
    if asked != "auto":
        return asked
    if has_head and (num_pairs is None or num_pairs >= FEWEST_PAIRS or not has_hmm):
        return "head"
    return "hmm" if has_hmm else "attention"


@dataclass(frozen=True)
class Origin:
    """Where the links of one model come from."""

    source: LinkSource
    layer: int = 0
    """Decoder layer, counted from 1; 0: none."""
    is_both_ways: bool = False
    """Whether both directions of one model were asked."""
    threshold: float = 0.0
    """The least fit that was chosen for an align head; 0: none was."""

    def __str__(self) -> str:
        ways = " both ways" if self.is_both_ways and self.source == "attention" else ""
        return f"{_NAMES[self.source]}{ways}" + (f", decoder layer {self.layer}" if self.layer else "")

    @property
    def least_fit(self) -> float:
        """Words that fit each other less well are not linked."""
        return self.threshold or LEAST_FIT[self.source]

    def record(self) -> dict[str, Any]:
        """The part of a JSON record that says whose links they are."""
        return {"from": self.source, **({"layer": self.layer} if self.layer else {})}


@dataclass(frozen=True)
class CombinedOrigin:
    """Where links come from that were combined from those of two models, one for each direction."""

    forward: Origin
    reverse: Origin
    method: Method

    def __str__(self) -> str:
        return f"{self.forward}; reverse: {self.reverse}; {self.method}"

    def record(self) -> dict[str, Any]:
        """The part of a JSON record that says whose links they are."""
        reverse = {f"reverse_{name}": value for name, value in self.reverse.record().items()}
        return {**self.forward.record(), **reverse, "method": self.method}
