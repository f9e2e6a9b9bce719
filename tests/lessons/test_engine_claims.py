"""What the lessons of the engine say, measured on this host: each test fails where its claim is false."""

from __future__ import annotations

import pytest

from loader_core.lessons import run_lesson
from loader_core.lessons.catalogue import find
from loader_core.lessons.log import Log, Value, state_at
from tests.lessons.conftest import LogOf, goes_forth_and_back

pytestmark = [pytest.mark.timeout(240)]

OWN = ("08-workers", "09-prefetch", "10-device", "11-together", "12-table")


def value(log: Log, name: str) -> Value:
    return log.measures[name].value


def number(log: Log, name: str) -> float:
    found = value(log, name)
    assert isinstance(found, int | float)
    return found


@pytest.mark.parametrize("lesson", OWN)
def test_a_lesson_of_the_engine_answers_its_own_questions(lesson: str, log_of: LogOf) -> None:
    log, found = log_of(lesson), find(lesson)
    assert log.cut == ""
    assert log.fault is None
    for question in (found.prediction, found.question):
        answer = value(log, question.measure)
        if question.choices:
            assert str(answer).lower() in [choice.lower() for choice in question.choices]
        else:
            assert isinstance(answer, int | float)
            assert question.min <= answer <= question.max


@pytest.mark.parametrize("lesson", OWN)
def test_a_lesson_of_the_engine_goes_forth_and_back(lesson: str, log_of: LogOf) -> None:
    goes_forth_and_back(log_of(lesson))


@pytest.mark.parametrize("lesson", OWN[:4])
def test_steps_come_in_order_and_each_shows_what_was_recorded(lesson: str, log_of: LogOf) -> None:
    log = log_of(lesson)
    moments = [step.at_ns for step in log.steps]
    assert moments == sorted(moments)
    assert len(log.steps) > 20
    for step in log.steps:
        assert step.span is not None
        span = log.spans[step.span]
        assert span.end_ns == step.at_ns
        assert 0 <= span.lane < len(log.lanes)
        assert 1 <= step.line <= len(log.sources[0].lines)
    last = state_at(log, len(log.steps) - 1)
    assert all(not thing.parts for thing in last.things.values() if thing.kind == "list"), "all batches were taken"


# --- 08 ---------------------------------------------------------------------------------------------------------------


def test_workers_that_wait_at_once_are_faster_than_none(log_of: LogOf) -> None:
    log = log_of("08-workers")
    assert number(log, "fetching_lanes") == 4
    assert number(log, "fetching_alone") == 1
    assert 1 < number(log, "speedup") < 4
    assert number(log, "thread_waiting") > 1.4
    assert number(log, "process_waiting") > 1.4


def test_threads_take_turns_where_code_holds_the_gil(log_of: LogOf) -> None:
    def holds(log: Log) -> bool:
        held = number(log, "thread_python")
        return held < 1.4 and number(log, "thread_waiting") > 1.2 * held

    # Whatever else the machine does may spoil a measurement, but hardly three in a row.
    logs = (log_of("08-workers", seed=seed) for seed in range(3))
    assert any(holds(log) for log in logs)


def test_batches_arrive_in_order_although_some_were_finished_early(log_of: LogOf) -> None:
    log = log_of("08-workers")
    assert value(log, "arrival") == "asked"
    assert number(log, "finished_early") >= 1


def test_a_random_source_made_in_the_main_process_repeats_itself_in_every_worker(log_of: LogOf) -> None:
    wrong, right = log_of("08-workers"), log_of("08-workers", "own-numbers")
    assert number(wrong, "numbers_alone") == number(wrong, "samples")
    assert number(wrong, "distinct_numbers") <= number(wrong, "samples") / 2
    assert value(wrong, "all_numbers_differ") is False
    assert value(right, "all_numbers_differ") is True


def test_tiny_samples_are_slower_with_workers(log_of: LogOf) -> None:
    assert number(log_of("08-workers"), "tiny_slower") > 2


def test_a_worker_that_dies_is_told_of_with_its_samples(log_of: LogOf) -> None:
    log = log_of("08-workers", "dies")
    assert value(log, "death_is_told") is True
    assert "SIGKILL" in str(value(log, "certificate"))
    assert any(span.kind == "DIED" for span in log.spans)


def test_what_a_program_of_the_engine_prints_stands_at_its_end(log_of: LogOf) -> None:
    *before, last = log_of("08-workers", "dies").steps
    assert not any(step.output for step in before)
    assert "was killed by SIGKILL while making batch 3" in last.output


def test_a_generator_does_not_travel(log_of: LogOf) -> None:
    assert "generator" in str(value(log_of("08-workers"), "pickled_generator"))


# --- 09 ---------------------------------------------------------------------------------------------------------------


def test_a_longer_queue_helps_in_bursts_and_not_where_workers_are_too_slow(log_of: LogOf) -> None:
    log = log_of("09-prefetch")
    assert number(log, "bursts_long") < number(log, "bursts_short")
    assert number(log, "slow_long") > 0.6 * number(log, "slow_short")
    assert number(log, "two_workers") < 0.6 * number(log, "slow_short")


def test_a_queue_holds_no_more_than_fit_into_it(log_of: LogOf) -> None:
    log = log_of("09-prefetch", size=3)
    assert 1 <= number(log, "most_ready") <= 3
    assert number(log, "meanwhile") > 0.3


def test_a_long_queue_does_not_mend_a_slow_worker_and_another_worker_does(log_of: LogOf) -> None:
    assert value(log_of("09-prefetch", "slow-long"), "keeps_up") is False
    mended = run_lesson("09-prefetch", variant="slow-two")
    assert number(mended, "wait_share") < number(log_of("09-prefetch", "slow-long"), "wait_share")


# --- 10 ---------------------------------------------------------------------------------------------------------------


def test_a_copy_beside_compute_is_waited_for_less(log_of: LogOf) -> None:
    blocking, overlapped = log_of("10-device"), log_of("10-device", "overlapped")
    assert number(blocking, "beside") < 0.1 < number(overlapped, "beside")
    assert number(overlapped, "overlapped_wait") < number(overlapped, "blocking_wait")
    assert number(blocking, "copies") == 20


def test_a_simulated_device_is_marked_as_such(log_of: LogOf) -> None:
    import torch

    log = log_of("10-device")
    copies = [span for span in log.spans if span.kind == "COPY"]
    simulated = not torch.accelerator.is_available()
    assert copies
    assert {span.simulated for span in copies} == {simulated}
    assert value(log, "simulated") is simulated


# --- 11 ---------------------------------------------------------------------------------------------------------------


def test_all_loaders_teach_the_same_and_the_one_by_hand_waits_most(log_of: LogOf) -> None:
    def waits_most(log: Log) -> bool:
        by_hand = number(log, "by_hand_wait")
        others = max(number(log, "of_ours_wait"), number(log, "of_torch_wait"))
        return number(log, "faster") > 1.2 and by_hand > others and by_hand > 0.5  # most of it for the disk

    log = log_of("11-together")
    assert value(log, "same_losses") is True
    assert number(log, "last_loss") < number(log, "first_loss")
    # Whatever else the machine does may spoil a measurement, but hardly three in a row.
    logs = (log, *(log_of("11-together", seed=seed) for seed in (1, 2) if not waits_most(log)))
    assert any(map(waits_most, logs)), [one.measures for one in logs]


def test_datasets_that_torch_brings_give_the_same_batches_with_either_loader(log_of: LogOf) -> None:
    log = log_of("11-together")
    assert value(log, "ecosystem_names") == "TensorDataset, Subset, ConcatDataset, StackDataset"
    assert number(log, "ecosystem") == 4


def test_without_workers_the_advantage_is_gone(log_of: LogOf) -> None:
    assert number(log_of("11-together", "no-workers"), "faster") < number(log_of("11-together"), "faster")


# --- 12 ---------------------------------------------------------------------------------------------------------------


def test_iterator_and_loader_give_the_same_samples(log_of: LogOf) -> None:
    log = log_of("12-table")
    assert (number(log, "iterator_steps"), number(log, "loader_steps")) == (18, 5)
    assert value(log, "complete") is True
    assert value(log, "shuffled") is False
    assert value(log_of("12-table", "workers"), "shuffled") is True
