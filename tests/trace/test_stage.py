"""`stage`: named parts of a sample, from inside a dataset."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from loader_core.trace.control import Control
from loader_core.trace.event import Kind, Role
from loader_core.trace.names import PLACES, STAGES, NameFile, Names, name_number
from loader_core.trace.recorder import NULL_RECORDER, Recorder
from loader_core.trace.stage import set_current, stage
from tests.trace.records import Event, events


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    control = Control.create(tmp_path)
    recorder = Recorder(tmp_path, role=Role.WORKER, worker=0, control=Control.open(tmp_path))
    set_current(recorder)
    yield recorder
    set_current(NULL_RECORDER)
    recorder.close()
    control.close()


def stages(directory: Path) -> list[Event]:
    return [event for event in events(directory) if event[-1] == Kind.STAGE]


def test_a_block_is_a_stage_of_the_current_sample(recorder: Recorder, tmp_path: Path) -> None:
    recorder.epoch, recorder.batch, recorder.sample = 2, 5, 99
    with stage("decode"):
        pass
    recorder.close()
    [event] = stages(tmp_path)
    assert event[0] <= event[1]
    assert event[2:6] == (name_number("decode"), 99, 5, 2)


def test_a_function_is_a_stage_each_time_it_is_called(recorder: Recorder, tmp_path: Path) -> None:
    @stage("halve")
    def halve(number: int) -> int:
        """Half of it."""
        return number // 2 and halve(number // 2)

    assert halve(4) == 0
    assert halve.__doc__ == "Half of it."
    recorder.close()
    assert len(stages(tmp_path)) == 3, "recursion nests"


def test_a_stage_that_raises_is_recorded_and_raises(recorder: Recorder, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), stage("divide"):
        1 / 0  # noqa: B018 - for its exception
    recorder.close()
    assert len(stages(tmp_path)) == 1


def test_less_detail_records_no_stage(recorder: Recorder, tmp_path: Path) -> None:
    page = Control.open(tmp_path)
    page.detail = 1
    with stage("decode"):
        page.detail = 2  # what counts is the detail at its beginning
    page.close()
    recorder.close()
    assert stages(tmp_path) == []


def test_another_thread_has_its_own_recorder(recorder: Recorder, tmp_path: Path) -> None:
    def elsewhere() -> None:
        with stage("decode"):
            pass

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    recorder.close()
    assert stages(tmp_path) == []


def test_without_a_recorder_it_does_nothing() -> None:
    with stage("decode"):
        pass


def test_names_are_read_by_number_as_they_come(tmp_path: Path) -> None:
    reader = NameFile(tmp_path, STAGES)
    assert reader.take() == {}
    one, other = Names(tmp_path, STAGES), Names(tmp_path, STAGES)
    numbers = [one.number("read"), other.number("read"), one.number("decode"), one.number("read")]
    assert numbers[0] == numbers[1] == numbers[3]
    assert reader.take() == {name_number("read"): "read", name_number("decode"): "decode"}
    assert reader.take() == {}
    with (tmp_path / "stages").open("a") as file:
        file.write("0000002a aug")
        file.flush()
        assert reader.take() == {}, "a line that is still being written"
        file.write("ment\nnot a line of ours\n")
    assert reader.take() == {42: "augment"}


def test_a_name_with_line_breaks_or_of_any_length_stays_one_line(tmp_path: Path) -> None:
    Names(tmp_path, STAGES).number("a\nb\r\n" + "c" * 500)
    [name] = NameFile(tmp_path, STAGES).take().values()
    assert name == "a b " + "c" * 76


def test_the_number_of_names_is_bounded(tmp_path: Path) -> None:
    names = Names(tmp_path, STAGES)
    numbers = {names.number(f"stage {number}") for number in range(STAGES.most + 20)}
    assert len(numbers) == STAGES.most + 20
    assert len(NameFile(tmp_path, STAGES).take()) == STAGES.most


def test_stages_and_places_are_apart(tmp_path: Path) -> None:
    place = "dataset.py:41 __getitem__ | image = Image.open(path).convert('RGB')"
    number = Names(tmp_path, PLACES).number(place)
    assert NameFile(tmp_path, PLACES).take() == {number: place}
    assert NameFile(tmp_path, STAGES).take() == {}
