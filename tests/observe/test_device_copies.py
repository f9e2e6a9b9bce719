"""Copies on a device's clock, with a stand-in for the device: the sums are right without an accelerator, too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from loader_core.observe import device_copies, transfer
from loader_core.observe.device_copies import MAX_PENDING, Copies, Delivered
from loader_core.trace import Kind, Recording, Role, Trace, now
from tests.observe.experience import recorded


class Moment:
    """An event of the stand-in: it comes when the device has come so far."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.at_ms = float("inf")

    def record(self) -> None:
        self.at_ms = self.device.queued_ms

    def query(self) -> bool:
        return self.at_ms <= self.device.done_ms

    def elapsed_time(self, later: Moment) -> float:
        assert self.query()
        assert later.query()
        return later.at_ms - self.at_ms


class Device:
    """Work is queued up to one time, and done up to another."""

    def __init__(self) -> None:
        self.queued_ms = 0.0
        self.done_ms = 0.0
        self.anchors = 0
        self.anchor_ns = now() + 1_000_000_000

    def event(self) -> Moment:
        return Moment(self)

    def anchor(self) -> tuple[Moment, int]:
        self.anchors += 1
        moment = Moment(self)
        moment.at_ms = self.done_ms
        return moment, self.anchor_ns


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    with recorded(tmp_path / "run") as recording:
        yield recording


def test_a_copy_is_recorded_when_it_is_done_as_long_as_the_device_says(recording: Recording) -> None:
    device = Device()
    copies = Copies(device)
    device.done_ms = 2.0
    copies.begin()
    device.queued_ms = 7.5
    copies.end(Delivered(recording, epoch=3, number=9, nbytes=4096))
    copies.reap()
    assert recorded_copies(recording) == []
    device.queued_ms = device.done_ms = 20.0
    copies.reap()
    recording.finish("finished")
    [row] = recorded_copies(recording)
    trace = Trace.open(recording.directory)
    assert trace.lanes[row["lane"]].role is Role.DEVICE
    assert (int(row["epoch"]), int(row["batch"]), int(row["value"])) == (3, 9, 4096)
    assert int(row["end"] - row["start"]) == 7_500_000
    assert int(row["start"]) + recording.anchor_ns == device.anchor_ns - 2_000_000
    assert device.anchors == 1


def recorded_copies(recording: Recording) -> list:
    trace = Trace.open(recording.directory)
    return list(trace.window(-(1 << 62), 1 << 62, {Kind.COPY}))


def test_copies_that_are_never_done_are_bounded(recording: Recording) -> None:
    device = Device()
    copies = Copies(device)
    for number in range(MAX_PENDING + 10):
        copies.begin()
        device.queued_ms += 1
        copies.end(Delivered(recording, 0, number, 1))
    device.done_ms = device.queued_ms
    copies.reap()
    recording.finish("finished")
    assert len(recorded_copies(recording)) == MAX_PENDING


def test_an_end_without_a_beginning_is_nothing(recording: Recording) -> None:
    copies = Copies(Device())
    copies.end(Delivered(recording, 0, 0, 1))
    copies.begin()
    copies.end(None)
    copies.reap()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is an accelerator here")
def test_without_an_accelerator_a_transfer_is_a_part_of_the_step_and_no_copy(recording: Recording) -> None:
    from torch.utils.data import DataLoader, TensorDataset

    from loader_core.observe import observe

    loader = observe(DataLoader(TensorDataset(torch.arange(2))), recording)
    for _ in loader:
        with transfer():
            pass
    recording.finish("finished")
    trace = Trace.open(recording.directory)
    assert len(trace.window(0, 1 << 62, {Kind.COPY})) == 0
    assert [trace.stages[int(v)] for v in trace.window(0, 1 << 62, {Kind.STAGE})["value"]] == ["transfer"] * 2


def test_a_clock_that_fails_is_given_up_and_the_transfer_goes_on(
    recording: Recording, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Device):
        def anchor(self) -> tuple[Moment, int]:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    done = []

    def in_a_thread() -> None:
        device_copies._here.copies = Copies(Broken())
        device_copies.delivered(Delivered(recording, 0, 0, 1))
        for _ in range(2):
            with transfer():
                done.append(1)

    monkeypatch.setattr(device_copies, "_is_in_use", lambda: True)
    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    assert done == [1, 1]
    assert len([record for record in caplog.records if "timing a copy" in record.getMessage()]) <= 1
