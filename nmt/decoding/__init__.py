"""From source lines to translations: search, batches, splitting."""

from nmt.decoding.search import Found, Rules, beam_search, greedy_search, search
from nmt.decoding.translator import Hypothesis, LineTooLongError, Translation, Translator

__all__ = [
    "Found",
    "Hypothesis",
    "LineTooLongError",
    "Rules",
    "Translation",
    "Translator",
    "beam_search",
    "greedy_search",
    "search",
]
