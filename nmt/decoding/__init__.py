"""From source lines to translations: search, batches, splitting."""

from nmt.decoding.rules import Rules, Sampling, Sentence
from nmt.decoding.search import Found, Room, search
from nmt.decoding.translator import Alternative, Hypothesis, LineTooLongError, Translation, Translator

__all__ = [
    "Alternative",
    "Found",
    "Hypothesis",
    "LineTooLongError",
    "Room",
    "Rules",
    "Sampling",
    "Sentence",
    "Translation",
    "Translator",
    "search",
]
