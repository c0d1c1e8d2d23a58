"""From source lines to translations: search, batches, splitting."""

from nmt.decoding.rules import Rules, Sampling, Sentence
from nmt.decoding.search import Found, Room, search
from nmt.decoding.translator import Hypothesis, LineTooLongError, RequestError, Translation, Translator

__all__ = [
    "Found",
    "Hypothesis",
    "LineTooLongError",
    "RequestError",
    "Room",
    "Rules",
    "Sampling",
    "Sentence",
    "Translation",
    "Translator",
    "search",
]
