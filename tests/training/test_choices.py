"""What is told of choices: as chosen for the data, or as asked for."""

from dataclasses import replace

from nmt.config.presets import SIZES, dropout, learning_rate, merge, preset
from nmt.config.toml import from_dict
from nmt.training.choices import choices
from nmt.training.report import DataReport
from nmt.training.run import flat

DATA = DataReport(29_000, 28_500, 500, 0, 0, {}, 0, "held out", 4000, 4000)


def told(
    options: dict,
    data: DataReport = DATA,
    *,
    num_passes: float = 400,
    is_vocab_open: bool = True,
    asked: dict | None = None,
) -> tuple[str, str, str]:
    own = {"model": {"dropout": dropout(data.num_kept, num_passes)}}
    config = from_dict(merge(preset("auto", num_pairs=data.num_pairs), own, options))
    rate = config.training.learning_rate or learning_rate(config.model.d_model)
    config = replace(config, training=replace(config.training, learning_rate=rate))
    requested = flat(config) | {"tokenizer.vocab_size": 0 if is_vocab_open else 4000} | (asked or {})
    steps_per_epoch = max(1, round(config.training.max_steps / num_passes))
    return choices(config, data, requested, steps_per_epoch=steps_per_epoch)


def test_auto_tells_what_it_chose_and_why() -> None:
    assert told({}) == (
        "size: tiny, 4+4 layers of width 128, for 29,000 pairs, as it is meant for up to 50,000 pairs; "
        "4,000 pieces, as suits 28,500 pairs",
        "regularisation: dropout 0.3, as suits up to 400 passes over 28,500 pairs; label smoothing 0.1; "
        "no subword sampling; no consistency",
        "schedule: batches of 2,048 target tokens; learning rate 0.005, as suits width 128; "
        "2,000 steps of warm-up, then inverse-sqrt, until 10 evaluations bring nothing better, "
        "at most 100,000 steps",
    )


def test_why_another_size_was_taken_than_the_pairs_suggest_is_told() -> None:
    small = {f"model.{key}": value for key, value in SIZES["small"].items()}
    options = {"model": SIZES["tiny"], "training": {"budget": 900, "batch_tokens": 2048}}
    size, _, schedule = told(options, replace(DATA, num_pairs=90_000), asked=small)
    assert size == (
        "size: tiny, 4+4 layers of width 128, as 15:00 are too short for small, which is meant for up to "
        "200,000 pairs; 4,000 pieces, as suits 28,500 pairs"
    )
    assert schedule.startswith("schedule: batches of 2,048 target tokens; learning rate 0.005, as suits")


def test_a_corpus_larger_than_all_sizes_but_one_are_meant_for_takes_that_one() -> None:
    size, *_ = told({}, replace(DATA, num_pairs=6_000_000, num_kept=5_800_000, tgt_vocab_size=32_000))
    assert size == (
        "size: big, 6+6 layers of width 1024, for 6,000,000 pairs, as it is meant for more pairs than any "
        "other; 32,000 pieces, as suits 5,800,000 pairs"
    )


def test_a_model_to_begin_with_brings_its_size_and_learns_more_slowly() -> None:
    begun = {"training": {"init_from": "parent", "learning_rate": 0.0015}}
    size, _, schedule = told(begun, replace(DATA, tgt_vocab_size=16_000), is_vocab_open=False)
    assert size == "size: tiny, 4+4 layers of width 128, 16,000 pieces, as the model has that it begins with"
    assert "; learning rate 0.0015, three tenths of what suits fresh weights of width 128; " in schedule
    *_, schedule = told({"training": {"init_from": "parent", "learning_rate": 0.005}})
    assert "; learning rate 0.005, as asked for; " in schedule
    *_, schedule = told({"training": {"learning_rate": 0.0015}})
    assert "; learning rate 0.0015, as asked for; " in schedule


def test_the_vocabulary_of_a_given_tokenizer_was_asked_for() -> None:
    given = {"tokenizer": {"model": "other.model"}}
    for num_pieces in (310, 4000, 9000):  # whatever would suit
        size, *_ = told(given, replace(DATA, tgt_vocab_size=num_pieces))
        assert size.endswith(f"; {num_pieces:,} pieces, as asked for")


def test_few_passes_need_little_dropout() -> None:
    for num_passes, passes in ((9.6, "10 passes"), (0.2, "1 pass")):
        _, regularisation, _ = told({}, num_passes=num_passes)
        suiting = f"dropout 0.1, as suits up to {passes} over 28,500 pairs"
        assert regularisation.startswith(f"regularisation: {suiting}")


def test_one_step_of_warm_up_is_one_step() -> None:
    *_, schedule = told({"training": {"max_steps": 19}})
    assert "; 1 step of warm-up, then " in schedule


def test_what_was_asked_for_is_told_as_such() -> None:
    asked = {
        "model": {"d_model": 96, "dropout": 0.25},
        "training": {
            "learning_rate": 0.001,
            "batch_tokens": 2000,
            "budget": 1200,
            "max_steps": 3000,
            "schedule": "cosine",
            "consistency": "simcut",
        },
    }
    assert told(asked, is_vocab_open=False) == (
        "size: 4+4 layers of width 96, as asked for; 4,000 pieces, as asked for",
        "regularisation: dropout 0.25, as asked for; label smoothing 0.1; no subword sampling; simcut 3",
        "schedule: batches of 2,000 target tokens, as asked for; learning rate 0.001, as asked for; "
        "300 steps of warm-up, then cosine, to be done by step 3,000, where 20:00 are over",
    )
    size, *_ = told({}, replace(DATA, num_pairs=60, num_kept=50, tgt_vocab_size=310))
    assert size.endswith("; 310 pieces, all that the text has, where 2,000 would suit 50 pairs")
    size, *_ = told({"model": {"d_model": 512, "d_ff": 2048, "num_heads": 8}}, DATA)
    assert size.startswith("size: 4+4 layers of width 512, as asked for")
