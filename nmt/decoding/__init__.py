"""From source lines to translations: search, batches, splitting."""

from nmt.decoding.hypothesis import Hypothesis, WordScore
from nmt.decoding.rules import Rules, Sampling, Sentence
from nmt.decoding.scoring import Scored
from nmt.decoding.search import Found, Room, search
from nmt.decoding.translation import Alternative, RequestError, Translation
from nmt.decoding.translator import Translator

__all__ = [
    "Alternative",
    "Found",
    "Hypothesis",
    "RequestError",
    "Room",
    "Rules",
    "Sampling",
    "Scored",
    "Sentence",
    "Translation",
    "Translator",
    "WordScore",
    "search",
]
