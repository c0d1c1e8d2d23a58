"""How many steps fit into the time."""

import pytest

from nmt.config import AlignmentConfig, Config, TrainingConfig
from nmt.training.plan import Timetable, affords_look, plan_links, replan
from nmt.training.report import DataReport
from nmt.training.state import Progress

TRAINING = TrainingConfig(budget=1000, eval_steps=100)


def test_until_an_evaluation_was_timed_a_share_is_kept_for_them() -> None:
    progress = Progress(step=50, setup_seconds=60, train_seconds=50)
    look = 100 * (1 / 0.85 - 1)  # seconds
    expected = 50 + (1000 * 0.96 - 110 - look) / (1 + look / 100)
    assert replan(progress, TRAINING, most=10_000) == int(expected) == 757


def test_afterwards_evaluations_take_what_they_took() -> None:
    progress = Progress(step=200, setup_seconds=10, train_seconds=100, other_seconds=20, num_evaluations=2)
    left = 1000 * 0.96 - 130 - 10  # one more at the end
    assert replan(progress, TRAINING, most=10_000) == 200 + int(left / (0.5 + 10 / 100))


def test_evaluations_that_take_long_are_planned_for_a_tenth_of_the_time_in_steps() -> None:
    progress = Progress(step=200, setup_seconds=10, train_seconds=100, other_seconds=40, num_evaluations=2)
    left = 1000 * 0.96 - 150 - 20  # one more at the end
    assert replan(progress, TRAINING, most=10_000, all_looks=False) == 200 + int(left / (0.5 + 0.05))
    assert replan(progress, TRAINING, most=10_000) == 200 + int(left / (0.5 + 0.2))


def test_another_evaluation_waits_until_those_before_are_a_tenth_of_the_time_in_steps() -> None:
    assert affords_look(Progress(train_seconds=1, other_seconds=0))
    assert affords_look(Progress(train_seconds=200, other_seconds=20))
    assert not affords_look(Progress(train_seconds=199, other_seconds=20))


@pytest.mark.parametrize(("seconds", "most", "expected"), [(2000, 10_000, 10), (10, 60, 60)])
def test_it_plans_no_step_too_late_and_none_too_many(seconds: float, most: int, expected: int) -> None:
    assert replan(Progress(step=10, train_seconds=seconds), TRAINING, most=most) == expected


def test_learning_links_takes_less_than_a_tenth_of_the_training_but_for_the_fewest_pairs() -> None:
    def plan(
        num_pairs: int, epochs: float, pair_tokens: int = 20, has_head: bool = True, **budget: float
    ) -> tuple[int, float]:
        found = plan_links(
            TrainingConfig(**budget),
            num_pairs=num_pairs,
            epochs=epochs,
            num_tokens=round(epochs * num_pairs * pair_tokens),
            train_seconds=epochs * num_pairs * 0.01,
            most=200_000,
            has_head=has_head,
        )
        return found.num_pairs, round(found.seconds, 3)

    assert plan(6_000, 1) == (6_000, 36)
    assert plan(50_000, 1) == (7_000, 42)
    assert plan(50_000, 4) == (12_000, 72)  # of 2,000 s
    assert plan(50_000, 20) == (50_000, 300)
    assert plan(5_000_000, 2) == (200_000, 1_200)
    assert plan(5_000_000, 0.001, budget=1_500) == (22_500, 135)
    assert plan(5_000_000, 0.001, pair_tokens=60, budget=1_500) == (3_970, 134.98)
    assert plan(5_000_000, 0.001, pair_tokens=5, budget=1_500) == (22_500, 135)
    assert plan(5_000, 0, budget=1_000) == (5_000, 17.5)
    assert plan(5_000_000, 0.001, has_head=False, budget=1_500) == (38_571, 134.999)


def test_links_take_as_long_whatever_is_done_with_a_pair_in_training() -> None:
    def plan(options: dict[str, str], *, times: int, num_directions: int = 1) -> tuple[int, float]:
        found = plan_links(
            TrainingConfig(budget=900, **options),
            num_pairs=100_000,
            epochs=1,
            num_tokens=100_000 * 30 * num_directions,
            train_seconds=100_000 * 0.01 * times,
            most=200_000,
            has_head=True,
            num_directions=num_directions,
        )
        return found.num_pairs, found.seconds

    once = plan({}, times=1)
    assert once[0] < 100_000
    assert plan({}, times=2, num_directions=2) == once
    assert plan({"consistency": "simcut"}, times=2) == once
    assert plan({"consistency": "rdrop"}, times=4, num_directions=2) == once


def test_a_budget_has_room_for_links() -> None:
    progress = Progress(step=200, setup_seconds=10, train_seconds=100, other_seconds=20, num_evaluations=2)
    left = 1000 * 0.96 - 130 - 10 - 90
    found = replan(progress, TRAINING, most=10_000, end_seconds=90)
    assert found == 200 + int(left / (0.5 + 10 / 100))


def timetable(progress: Progress, *, tunes: bool) -> Timetable:
    """Of a run with a budget of 1,000 s, whose links are learnt from 20,000 pairs in 70 s."""
    training = TrainingConfig(budget=1000, eval_steps=100, max_steps=10_000, tune_length_penalty=tunes)
    return Timetable(
        Config(training=training, alignment=AlignmentConfig(head=False)),
        progress,
        DataReport(20_000, 20_000, 500, 0, 0, {}, 0, "given", 4000, 4000),
        num_batches=400,
        requested={"training.max_steps": 10_000, "training.eval_steps": 100},
    )


@pytest.mark.parametrize(("tunes", "at_the_end"), [(False, 70), (True, 70 + 5 * 10)])
def test_a_run_stops_while_there_is_time_for_what_comes_after_it(tunes: bool, at_the_end: int) -> None:
    progress = Progress(step=400, epoch=2, max_steps=10_000, other_seconds=40, num_evaluations=4)
    run = timetable(progress, tunes=tunes)
    progress.train_seconds = 1000 * 0.96 - 40 - at_the_end
    assert run.plan_links().seconds == pytest.approx(70)
    assert run.reason_to_stop() == ""
    progress.train_seconds += 1
    assert run.reason_to_stop() == "the time was used up"


@pytest.mark.parametrize(("tunes", "at_the_end"), [(False, 70), (True, 70 + 5 * 10)])
def test_steps_are_planned_with_what_comes_after_them(tunes: bool, at_the_end: int) -> None:
    progress = Progress(
        step=400, epoch=2, max_steps=10_000, train_seconds=200, other_seconds=40, num_evaluations=4
    )
    timetable(progress, tunes=tunes).plan()
    left = 1000 * 0.96 - 240 - 10 - at_the_end  # one more evaluation at the end
    assert progress.max_steps == 400 + int(left / (0.5 + 10 / 100))
