"""What the lessons say, measured on this host: each test fails where its claim is false."""

from __future__ import annotations

import pytest

from loader_core.errors import ParameterError
from loader_core.lessons import run_lesson
from loader_core.lessons.catalogue import find, lessons
from loader_core.lessons.last_table import LAST_TABLE
from loader_core.lessons.lesson import Cell
from loader_core.lessons.log import Log, Value
from loader_core.scenarios.photographs import NAMES
from tests.lessons.conftest import LogOf, goes_forth_and_back

pytestmark = [pytest.mark.timeout(240)]


def value(log: Log, name: str) -> Value:
    return log.measures[name].value


def number(log: Log, name: str) -> float:
    found = value(log, name)
    assert isinstance(found, int | float)
    return found


def curve(log: Log, name: str) -> tuple[float, ...]:
    return next(one.y for one in log.curves if one.name == name)


OWN = [lesson for lesson in lessons() if lesson.number <= 7]


@pytest.mark.parametrize("lesson", OWN, ids=lambda lesson: lesson.id)
def test_a_lesson_answers_its_own_questions(lesson_log: Log, lesson: object) -> None:
    found = find(lesson_log.lesson)
    for question in (found.prediction, found.question):
        answer = value(lesson_log, question.measure)
        if question.choices:
            assert answer in question.choices
        else:
            assert isinstance(answer, int | float)
            assert question.min <= answer <= question.max
        if question.curve:
            assert question.curve in {one.name for one in lesson_log.curves}
    for row in found.table.rows if found.table else ():
        for cell in row.cells:
            assert cell.lesson != found.id or cell.measure in lesson_log.measures
    assert not lesson_log.cut
    assert len(lesson_log.steps) < 1_200, "too long to be walked through"


@pytest.mark.parametrize("lesson", OWN, ids=lambda lesson: lesson.id)
def test_a_lesson_goes_forth_and_back(lesson_log: Log) -> None:
    goes_forth_and_back(lesson_log)


@pytest.fixture
def lesson_log(lesson: object, log_of: LogOf) -> Log:
    return log_of(lesson.id)


@pytest.mark.soak
@pytest.mark.parametrize("lesson", OWN, ids=lambda lesson: lesson.id)
def test_a_task_can_be_done_and_is_not_done_at_its_start(lesson: object, log_of: LogOf) -> None:
    found = find(lesson.id)
    done = {
        choice: value(log_of(found.id, choice), found.task.measure) == found.task.wanted
        for choice in found.task.choices
    }
    assert not done[found.task.start]
    assert sum(done.values()) == 1


# --- 1: on demand -----------------------------------------------------------------------------------------------------


def test_the_whole_grows_and_the_parts_stay_flat(log_of: LogOf) -> None:
    log = log_of("01-on-demand")
    assert number(log, "ratio") > 3
    assert number(log, "whole_peak") > 0.8 * number(log, "photographs") * number(log, "largest_picture") / 4
    assert number(log, "parts_peak") < 4 * number(log, "largest_picture")
    whole, parts = curve(log, "rss_whole"), curve(log, "rss_parts")
    assert whole[-1] - whole[len(whole) // 2] > 5 * max(1, parts[-1] - parts[len(parts) // 2])


def test_the_first_part_is_there_sooner_than_the_whole(log_of: LogOf) -> None:
    log = log_of("01-on-demand")
    assert number(log, "first_parts") < number(log, "first_whole") / 3


def test_more_photographs_make_only_the_whole_larger(log_of: LogOf) -> None:
    few, many = log_of("01-on-demand", photographs=12), log_of("01-on-demand", photographs=48)
    assert number(many, "whole_peak") > 2.5 * number(few, "whole_peak")
    assert number(many, "parts_peak") < 2 * number(few, "parts_peak")


def test_keeping_the_parts_is_keeping_the_whole(log_of: LogOf) -> None:
    assert number(log_of("01-on-demand", "kept"), "ratio") < 1.5


# --- 2: iterator ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["abc", "python", "datos"])
def test_next_is_asked_once_more_than_there_are_letters(word: str, log_of: LogOf) -> None:
    assert number(log_of("02-iterator", word=word), "next_calls") == len(word) + 1


def test_the_first_version_counts_from_one_and_pythons_from_zero(log_of: LogOf) -> None:
    assert (value(log_of("02-iterator"), "first_index"), value(log_of("02-iterator"), "agrees_with_python")) == (
        1,
        False,
    )
    mended = log_of("02-iterator", "from-zero")
    assert (value(mended, "first_index"), value(mended, "agrees_with_python")) == (0, True)


def test_its_own_iterator_is_used_up_after_one_loop_and_an_iterable_is_not(log_of: LogOf) -> None:
    for variant, again in (("from-zero", 0), ("two-classes", 3), ("loader-core", 3)):
        log = log_of("02-iterator", variant)
        assert value(log, "second_items") == again
        assert value(log, "is_its_own_iterator") is (again == 0)


def test_without_stop_iteration_the_loop_fails(log_of: LogOf) -> None:
    fault = log_of("02-iterator", "no-end").fault
    assert fault is not None
    assert fault.type == "IndexError"


# --- 3: generator -----------------------------------------------------------------------------------------------------


def test_calling_a_generator_runs_none_of_its_lines(log_of: LogOf) -> None:
    assert value(log_of("03-generator"), "lines_before_next") == 0


def test_a_generator_is_walked_through_once(log_of: LogOf) -> None:
    log = log_of("03-generator")
    assert (value(log, "first_items"), value(log, "second_items")) == (3, 0)


def test_its_frame_waits_and_return_travels_in_stop_iteration(log_of: LogOf) -> None:
    log = log_of("03-generator")
    assert number(log, "most_suspended") >= 1
    assert value(log, "returned") == 0


@pytest.mark.parametrize("variant", ["take", "take-until"])
def test_of_an_endless_sequence_as_much_is_taken_as_is_asked(variant: str, log_of: LogOf) -> None:
    log = log_of("03-generator", variant, count=12)
    assert (value(log, "numbers"), value(log, "last_number")) == (12, "89")


def test_all_of_an_endless_sequence_never_ends(log_of: LogOf) -> None:
    assert log_of("03-generator", "take-all").cut == "steps"


# --- 4: side by side --------------------------------------------------------------------------------------------------


def test_a_list_grows_with_its_items_and_a_generator_does_not(log_of: LogOf) -> None:
    log = log_of("04-side-by-side")
    assert number(log, "stored_growth") > 1_000
    assert number(log, "lazy_growth") < 3
    assert number(log, "lazy_size") < 1_000 < number(log, "stored_size")
    assert number(log, "lazy_first") < number(log, "stored_first") / 10


def test_each_kind_answers_as_the_table_says(log_of: LogOf) -> None:
    log = log_of("04-side-by-side")
    assert (value(log, "stored_length"), value(log, "lazy_length")) == (6, "TypeError")
    assert (value(log, "stored_third"), value(log, "lazy_third")) == (4, "TypeError")
    assert (value(log, "stored_second_time"), value(log, "lazy_second_time")) == (6, 0)
    assert (value(log, "stored_own_iterator"), value(log, "lazy_own_iterator")) == (False, True)


def test_a_range_is_lazy_and_can_be_walked_through_again(log_of: LogOf) -> None:
    log = log_of("04-side-by-side", "range")
    assert (value(log, "lazy_second_time"), value(log, "lazy_length")) == (6, 6)


# --- 5: a loader by hand ----------------------------------------------------------------------------------------------


def test_the_loader_by_hand_has_its_faults_and_ours_has_not(log_of: LogOf) -> None:
    log = log_of("05-loader-by-hand")
    faults = [value(log, name) for name in ("samples_unchanged", "takes_any_dataset")]
    ours = [value(log, f"our_{name}") for name in ("samples_unchanged", "takes_any_dataset")]
    assert (faults, ours) == ([False, False], [True, True])
    assert value(log, "pairs") == number(log, "batches") / 2, "two loops share one position"
    assert value(log, "our_pairs") == value(log, "our_batches")


@pytest.mark.parametrize(("samples", "size"), [(100, 10), (100, 30), (7, 3)])
def test_the_number_of_batches_is_rounded_up(samples: int, size: int, log_of: LogOf) -> None:
    log = log_of("05-loader-by-hand", samples=samples, batch_size=size)
    assert value(log, "batches") == value(log, "expected_batches") == -(-samples // size)
    assert value(log, "last_batch") == (samples % size or size)


def test_what_wants_a_list_holds_everything(log_of: LogOf) -> None:
    log = log_of("05-loader-by-hand")
    assert number(log, "list_bytes") > 2 * number(log, "on_demand_bytes")


def test_by_hand_nothing_is_read_while_the_consumer_works(log_of: LogOf) -> None:
    log = log_of("05-loader-by-hand")
    assert (value(log, "threads"), value(log, "overlap")) == (1, 0)
    assert number(log, "engine_threads") > 1
    assert number(log, "engine_overlap") > 0.1
    assert {span.lane for span in log.spans} == set(range(len(log.lanes)))


# --- 6: batches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", ["texts", "photographs"])
def test_what_each_collate_makes_of_samples_of_different_sizes(samples: str, log_of: LogOf) -> None:
    outcomes = {
        variant: value(log_of("06-batches", variant, samples=samples), "outcome")
        for variant in find("06-batches").variants
    }
    assert outcomes == {"pad": "padded", "stack": "error", "crop": "cut", "keep": "whole"}


def test_a_wrong_collate_says_what_does_not_fit(log_of: LogOf) -> None:
    fault = log_of("06-batches", "stack").fault
    assert fault is not None
    assert "stack expects each tensor to be equal size" in fault.message


def test_of_one_sample_nothing_is_padded(log_of: LogOf) -> None:
    assert number(log_of("06-batches", batch_size=1), "padding") == 0


def test_texts_of_about_one_length_need_less_padding(log_of: LogOf) -> None:
    log = log_of("06-batches")
    assert number(log, "padding_by_length") < number(log, "padding_shuffled") / 3
    assert list(curve(log, "padding_shuffled")) == sorted(curve(log, "padding_shuffled"))


# --- 7: shuffling -----------------------------------------------------------------------------------------------------


def test_from_sorted_data_the_network_learns_no_more_than_chance(log_of: LogOf) -> None:
    log = log_of("07-shuffling")
    assert number(log, "accuracy_sorted") < 3 / len(NAMES)
    assert number(log, "accuracy_shuffled") > 0.6
    assert number(log, "loss_shuffled") < number(log, "loss_sorted") / 2


def test_epochs_differ_only_where_each_is_shuffled_anew(log_of: LogOf) -> None:
    for variant, distinct in (("same-seed", 1), ("once", 1), ("never", 1), ("every-epoch", 3)):
        log = log_of("07-shuffling", variant)
        assert value(log, "distinct_epochs") == distinct
        assert value(log, "every_sample_once") is True
    assert value(log_of("07-shuffling", "every-epoch"), "same_seed_same_epoch") is True


@pytest.mark.parametrize("size", [4, 12])
def test_a_buffer_brings_no_sample_farther_ahead_than_its_size(size: int, log_of: LogOf) -> None:
    assert number(log_of("07-shuffling", buffer=size), "farthest_ahead") <= size - 1


def test_a_small_buffer_hardly_moves_anything_and_shards_leave_neighbours_together(log_of: LogOf) -> None:
    log = log_of("07-shuffling")
    assert number(log, "moved_by_small_buffer") < 0.02 < 0.3 < number(log, "moved_by_full_shuffle")
    assert number(log, "moved_by_shards") > 0.2
    assert number(log, "neighbours_by_shards") > 0.9
    assert number(log, "neighbours_by_both") < 0.05


def test_a_computed_permutation_needs_no_memory(log_of: LogOf) -> None:
    log = log_of("07-shuffling")
    assert number(log, "stored_permutation") > 7 * number(log, "stored_samples")
    assert number(log, "computed_permutation") < number(log, "stored_permutation") / 20
    assert number(log, "computed_samples") > 1000 * number(log, "stored_samples")


# --- what may be asked ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lesson", "parameters", "field", "text"),
    [
        ("03-generator", {"count": 41}, "count", "count is 41, but must be a whole number from 1 to 40"),
        ("03-generator", {"count": 2.5}, "count", "a whole number from 1 to 40"),
        ("03-generator", {"count": True}, "count", "a whole number from 1 to 40"),
        ("03-generator", {"count": "__import__('os')"}, "count", "a whole number from 1 to 40"),
        ("02-iterator", {"word": "abc' + x"}, "word", "must be one of abc, python, datos"),
        ("02-iterator", {"other": 1}, "other", "lesson 02-iterator has no parameter 'other': it has word"),
        ("99-none", {}, "lesson", "there is no lesson '99-none': there are 01-on-demand"),
    ],
)
def test_what_is_out_of_bounds_is_refused_with_its_range(
    lesson: str, parameters: dict[str, Value], field: str, text: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        run_lesson(lesson, parameters=parameters)
    assert caught.value.field == field
    assert text in str(caught.value)


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(ParameterError, match="lesson 02-iterator has no variant 'x': it has from-one"):
        run_lesson("02-iterator", variant="x")


@pytest.mark.soak
@pytest.mark.parametrize("lesson", OWN, ids=lambda lesson: lesson.id)
@pytest.mark.parametrize("bound", ["min", "max"])
def test_the_bounds_of_the_parameters_can_be_run(lesson: object, bound: str, log_of: LogOf) -> None:
    found = find(lesson.id)
    numbers = {one.name: int(limit) for one in found.parameters if (limit := getattr(one, bound)) is not None}
    log = log_of(found.id, **numbers)
    assert log.fault is None
    assert log.cut == ""


# --- 12: the last table -----------------------------------------------------------------------------------------------

CELLS = [cell for row in LAST_TABLE.rows for cell in row.cells]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.lesson}-{cell.measure}")
def test_each_cell_of_the_last_table_is_measured(cell: Cell, log_of: LogOf) -> None:
    assert cell.measure in log_of(cell.lesson).measures


def test_a_loader_gives_batches_and_new_orders_where_an_iterator_does_not(log_of: LogOf) -> None:
    batches, shuffling = log_of("06-batches"), log_of("07-shuffling")
    assert (value(batches, "iterator_per_next"), value(batches, "loader_per_next")) == (1, 4)
    assert (value(batches, "iterator_gives"), value(batches, "loader_gives")) == (
        "Tensor(3) int64",
        "Tensor(4, 3) int64",
    )
    assert (value(shuffling, "iterator_orders"), value(shuffling, "loader_orders")) == (1, 3)
