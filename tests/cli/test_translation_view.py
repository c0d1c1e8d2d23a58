"""What of a translation stands in a record."""

from nmt.alignment.formats import Origin
from nmt.cli.requests import Request
from nmt.cli.translation_view import View, hypothesis_record
from nmt.decoding import Hypothesis, Translation

HYPOTHESIS = Hypothesis("Yes!", -1.0, -3.0, [7, 8], (-1.0, -0.5, -1.5), ((0, 3), (3, 4)))


def test_scores_of_words_are_in_a_record_if_they_are_asked_for() -> None:
    record = {"tgt": "Yes!", "score": -1.0, "log_prob": -3.0}
    words = {"word_scores": [[0, 3, -1.0], [3, 4, -0.5]]}
    assert hypothesis_record(HYPOTHESIS) == record
    assert hypothesis_record(HYPOTHESIS, "punct") == record | words
    assert hypothesis_record(HYPOTHESIS, "space") == record | {"word_scores": [[0, 4, -1.5]]}
    translation = Translation("Ja!", (HYPOTHESIS,), 2, 1)
    for scores in (False, True):
        view = View("jsonl", False, "punct", 0.0, Origin("attention", 2), scores=scores)
        expected = {"id": 5, "src": "Ja!", **record, **(words if scores else {})}
        assert view._record(translation, Request(5, "Ja!")) == expected
