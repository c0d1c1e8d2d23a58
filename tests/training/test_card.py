"""The model card says what the configuration and the manifest know, and invents nothing."""

import pytest

from nmt.config import AlignmentConfig, Config, DataConfig, DecodingConfig, TokenizerConfig
from nmt.config.schema import OnLong
from nmt.training.card import duration, languages, model_card

CONFIG = Config(
    data=DataConfig(
        src=("corpus/train.de", "corpus/more.de.gz"), tgt=("corpus/train.en", "corpus/more.en.gz")
    ),
    tokenizer=TokenizerConfig(vocab_size=4000),
    alignment=AlignmentConfig(layer=3),
)
MANIFEST = {
    "nmt_version": "0.1.0",
    "torch_version": "2.13.0",
    "data": {"pairs": 29_000, "kept": 28_900, "dropped": {"too long": 100}, "held_out": [3, 7],
             "hash": "ab12"},
    "tokenizer_hash": "cd34",
    "training": {"step": 8000, "epoch": 12.5, "seconds": 4823.0, "tokens_per_second": 8123.4, "device": "cpu",
                 "precision": "float32", "stopped": "no better score in 10 evaluations"},
    "dev": {"bleu": {"score": 39.126, "signature": "nrefs:1|case:mixed|version:2.6.0"}, "loss": 1.25},
    "alignment": {"layer": 3, "from": "attention", "agreement": {"1": 0.31, "2": 0.55, "3": 0.7123}},
    "parameters": 2_600_000,
    "signature": "nmt:0.1.0|torch:2.13.0|seed:1",
}  # fmt: skip


def test_the_card_holds_what_a_reader_needs() -> None:
    card = model_card(CONFIG, MANIFEST)
    for fact in (
        "# Translation model: de to en",
        "nmt translate -m",
        "nmt align -m",
        "28,900 of 29,000 pairs kept",
        "dropped (too long): 100",
        "2 pairs held out",
        "2,600,000",
        "4,000 pieces",
        "8,000 steps",
        "1 h 20 min",
        "ended: no better score in 10 evaluations",
        "Links between words are read from the cross-attention of decoder layer 3 of 4.",
        "| 3 | 0.712 (read) |",
        "`nmt:0.1.0|torch:2.13.0|seed:1`",
    ):
        assert fact in card


def test_every_score_stands_beside_its_signature() -> None:
    assert "- BLEU 39.13 `nrefs:1|case:mixed|version:2.6.0`" in model_card(CONFIG, MANIFEST)


def test_what_is_not_known_is_left_out() -> None:
    card = model_card(Config(), {})
    assert "# Translation model: source to target" in card
    for section in ("## Scores", "## Word alignment", "## Data", "## Origin", "None"):
        assert section not in card


def test_no_folder_of_the_machine_gets_into_the_card() -> None:
    assert "corpus/" not in model_card(CONFIG, MANIFEST)


def test_languages_come_from_the_endings_of_the_files() -> None:
    assert languages(CONFIG) == ("de", "en")
    mixed = Config(data=DataConfig(src=("a.de", "b.nl"), tgt=("plain", "text")))
    assert languages(mixed) == ("source", "target")
    for src, tgt in (("corpus.en-de.txt", "other.txt"), ("a.de", "b.de"), ("a.src", "a.tgt")):
        assert languages(Config(data=DataConfig(src=(src,), tgt=(tgt,)))) == ("source", "target")


def test_durations_read_as_people_say_them() -> None:
    assert [duration(seconds) for seconds in (4.4, 200, 3599.6, 4823)] == [
        "4 s",
        "3 min 20 s",
        "1 h 0 min",
        "1 h 20 min",
    ]


def test_the_card_says_what_the_scores_were_measured_on_and_who_chose_the_layer() -> None:
    dev = MANIFEST["dev"] | {"pairs": 500, "decoded": 200, "beam": 1, "origin": "given", "overlap": 7}
    alignment = MANIFEST["alignment"] | {"chosen": False}
    card = model_card(CONFIG, MANIFEST | {"dev": dev, "alignment": alignment})
    assert (
        "On 500 development pairs, of which 7 are in the training text too; BLEU of the first 200, beam 1:"
        in card
    )
    assert "The layer was set by the option `alignment.layer`." in card


def test_the_card_says_whose_links_they_are() -> None:
    head = MANIFEST["alignment"] | {"from": "head", "pairs": 28_900}
    card = model_card(CONFIG, MANIFEST | {"alignment": head})
    assert "are found by the align head of decoder layer 3 of 4" in card
    assert "The HMM aligners learnt from 28,900 pairs of the training text." in card
    hmm = head | {"from": "hmm", "text": ["a.de", "a.en"]}
    card = model_card(CONFIG, MANIFEST | {"alignment": hmm})
    assert "are made by HMM aligners. The HMM aligners learnt from 28,900 pairs of `a.de` and `a.en`." in card
    assert "(read)" not in card


@pytest.mark.parametrize(
    ("on_long", "sentence"),
    [
        ("split", "- A line of more than 200 pieces is split and its parts are translated one by one.\n"),
        ("truncate", "- Of a line of more than 200 pieces only the first 200 are translated.\n"),
        ("error", "- A line of more than 200 pieces is refused.\n"),
    ],
)
def test_the_card_says_what_becomes_of_a_long_line(on_long: OnLong, sentence: str) -> None:
    assert sentence in model_card(Config(decoding=DecodingConfig(on_long=on_long)), {})


def test_what_was_mended_and_left_out_is_told_if_there_is_any() -> None:
    for count, is_told in ((0, False), (2, True)):
        data, training = MANIFEST["data"] | {"mended": count}, MANIFEST["training"] | {"left_out": count}
        card = model_card(CONFIG, MANIFEST | {"data": data, "training": training})
        assert ("- lines mended with U+FFFD: 2\n" in card) == is_told
        assert ("- left out because they do not fit into memory: 2 pairs, counted anew" in card) == is_told
        assert "mended with U+FFFD: 0" not in card
