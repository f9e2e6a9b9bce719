"""A loop that is stuck is told so, with who has its batch; and a slow one, or one at other work, is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loader_core.diagnose.excerpt import Excerpt
from loader_core.diagnose.facts import Facts
from loader_core.diagnose.memory import Limits
from loader_core.diagnose.rows import Rows
from loader_core.diagnose.rules_hang import HANG_NS, START_NS, Hang, find_hang
from loader_core.diagnose.verdict import judge
from loader_core.diagnose.verdict_types import Code
from loader_core.trace.event import NO_BATCH, Kind
from tests.diagnose.rows import FIRST_WORKER, MAIN, row, rows_of
from tests.diagnose.simulated import MS, Loader, excerpt_of

STUCK = 16
"""The batch that does not come. It is the first worker's."""
PLACE = "train.py:7 Data.__getitem__"
SECOND = 1_000_000_000


def asked() -> int:
    """When the loop asks for it."""
    loader = running()
    loader.rows()
    return loader.asked[STUCK]


def running() -> Loader:
    return Loader(2, [5 * MS] * 24, step_ns=20 * MS)


def stuck(*more: tuple[Any, ...], waited_ns: int = 40 * SECOND, has: tuple[Kind, ...] = (Kind.WAIT_TASK,)) -> Excerpt:
    """A run whose loop waits for batch STUCK for so long: of that batch there are DISPATCH and rows of these kinds."""
    rows = running().rows()
    earlier = (rows["batch"] < STUCK) & (rows["batch"] != NO_BATCH)
    of_stuck = (rows["batch"] == STUCK) & np.isin(rows["kind"], [Kind.DISPATCH, *has])
    rows = np.concatenate([rows[earlier | of_stuck], rows_of(*more)]) if more else rows[earlier | of_stuck]
    end_ns = asked() + waited_ns
    return excerpt_of(rows, workers=2, start_ns=0, end_ns=end_ns, places={1: f"{PLACE} | read()", 2: "other.py:1 f"})


def looks(*samples: int, every_ns: int = SECOND, value: int = 1) -> list[tuple[Any, ...]]:
    """Looks at the worker that is stuck, the last one at the end."""
    begin = asked() + 40 * SECOND - every_ns * len(samples)
    return [
        row(Kind.STACK, begin + every_ns * number, lane=FIRST_WORKER, batch=STUCK, sample=sample, value=value)
        for number, sample in enumerate(samples)
    ]


def found(excerpt: Excerpt) -> Hang:
    hang = find_hang(excerpt)
    assert hang is not None
    return hang


# --- there is one -----------------------------------------------------------------------------------------------------


def test_a_batch_that_does_not_come_is_told_with_worker_sample_and_line() -> None:
    excerpt = stuck(*looks(*[130] * 30))
    hang = found(excerpt)
    assert (hang.batch, hang.epoch, hang.at, hang.worker, hang.sample) == (STUCK, 0, "fetch", 0, 130)
    assert (hang.since_ns, hang.wait_ns, hang.place) == (asked(), 40 * SECOND, PLACE)
    verdict = judge(excerpt, Facts.of([]), Limits())
    assert [finding.code for finding in verdict.findings] == [Code.HANG]
    finding = verdict.top()
    assert (finding.confidence, finding.share, finding.place) == ("high", None, PLACE)
    longest = f"{hang.longest_ns / 1e6:g}"
    assert finding.sentence.en == (
        f"Batch 16 (epoch 0) had not come after 40 s of waiting; the longest wait before had been {longest} ms. "
        f"Worker 0 was reading its samples and was at sample 130, in {PLACE}."
    )
    assert finding.sentence.es == (
        f"El lote 16 (época 0) no había llegado tras 40 s de espera; hasta entonces la espera más larga fue de "
        f"{longest} ms. El worker 0 leía sus muestras y estaba en la 130, en {PLACE}."
    )
    assert finding.advice.en.startswith("Load sample 130 with num_workers=0 and look where it stops")
    assert "timeout=60" in finding.experiment.en
    assert [evidence.value for evidence in finding.evidence] == [40e9, float(hang.longest_ns), 30.0]


@pytest.mark.parametrize(
    ("has", "at", "worker"),
    [
        ((), "queue", None),
        ((Kind.WAIT_TASK,), "fetch", 0),
        ((Kind.WAIT_TASK, Kind.FETCH), "collate", 0),
        ((Kind.WAIT_TASK, Kind.FETCH, Kind.COLLATE), "send", 0),
        ((Kind.WAIT_TASK, Kind.FETCH, Kind.COLLATE, Kind.SEND), "send", 0),
    ],
)
def test_where_the_batch_stays_away(has: tuple[Kind, ...], at: str, worker: int | None) -> None:
    excerpt = stuck(has=has)
    assert (found(excerpt).at, found(excerpt).worker) == (at, worker)
    assert found(excerpt).sample is None
    said = judge(excerpt, Facts.of([]), Limits()).top()
    assert said.code is Code.HANG
    assert "{" not in said.sentence.en + said.sentence.es + said.advice.en + said.advice.es
    assert len(said.evidence) == 2


def test_a_sampler_that_gives_no_indices_is_told_apart() -> None:
    excerpt = stuck(has=())
    rows = excerpt.rows[excerpt.rows["batch"] < STUCK]
    hang = found(excerpt_of(rows, workers=2, end_ns=excerpt.end_ns))
    assert (hang.batch, hang.at, hang.worker) == (STUCK, "draw", None)
    assert hang.in_main_process  # where no timeout of the loader's helps


def test_a_loop_without_workers_is_stuck_in_its_own_process() -> None:
    rows = stuck(has=()).rows
    rows = rows[np.isin(rows["kind"], [Kind.WAIT_BATCH, Kind.STEP])]
    excerpt = excerpt_of(rows, workers=0, end_ns=asked() + HANG_NS)
    hang = found(excerpt)
    assert (hang.batch, hang.at, hang.worker) == (STUCK, "fetch", -1)
    top = judge(excerpt, Facts.of([]), Limits()).top()
    assert "The main process was reading its samples." in top.sentence.en
    # torch refuses a timeout without workers, and num_workers=0 is what there is.
    assert top.advice.en.startswith("Load the samples of that batch alone and look where it stops")
    assert "Ctrl-C" in top.experiment.en


def interrupted(*more: tuple[Any, ...], waited_ns: int = 40 * SECOND) -> Excerpt:
    """The loop was interrupted, or its loader's timeout was over: its wait has ended with no batch."""
    return stuck(row(Kind.WAIT_BATCH, asked(), asked() + waited_ns), *more, waited_ns=waited_ns + SECOND)


def test_a_wait_that_was_interrupted_is_a_hang_too() -> None:
    assert found(interrupted()).wait_ns == 40 * SECOND


def test_a_timeout_is_a_hang_and_an_exception_of_the_dataset_is_none() -> None:
    over = asked() + 40 * SECOND
    told = row(Kind.ERROR, over, lane=MAIN, batch=STUCK)
    raised = row(Kind.ERROR, over - MS, lane=FIRST_WORKER, batch=STUCK, sample=131)
    fetch = row(Kind.FETCH, asked(), over - MS, lane=FIRST_WORKER, batch=STUCK)
    assert found(interrupted(told)).at == "fetch"
    assert find_hang(interrupted(told, fetch, raised)) is None
    by_the_same_key = found(interrupted(fetch, raised))  # Ctrl-C goes to the workers too
    assert (by_the_same_key.at, by_the_same_key.sample) == ("fetch", 131)


def test_a_loop_without_workers_that_was_interrupted_knows_its_sample() -> None:
    over = asked() + 40 * SECOND
    plain = stuck(has=()).rows
    plain = plain[np.isin(plain["kind"], [Kind.WAIT_BATCH, Kind.STEP])]
    wait = row(Kind.WAIT_BATCH, asked(), over)
    fetch = row(Kind.FETCH, asked(), over - MS, lane=FIRST_WORKER, batch=STUCK)
    raised = row(Kind.ERROR, over - MS, lane=FIRST_WORKER, batch=STUCK, sample=131)
    told = row(Kind.ERROR, over, lane=MAIN, batch=STUCK)

    def hang_in(*more: tuple[Any, ...]) -> Hang | None:
        return find_hang(
            excerpt_of(np.concatenate([plain, rows_of(*more)]), workers=1, start_ns=0, end_ns=over + SECOND)
        )

    hang = hang_in(wait, fetch, raised)
    assert hang is not None
    assert (hang.batch, hang.at, hang.sample) == (STUCK, "fetch", 131)
    assert hang_in(wait, fetch, raised, told) is None  # the dataset's own exception
    assert hang_in(wait) is None  # an epoch whose end took long


def test_the_first_batch_of_an_epoch_may_take_longer() -> None:
    given = rows_of(*(row(Kind.DISPATCH, MS, lane=MAIN, batch=batch) for batch in range(4)))
    assert find_hang(excerpt_of(given, workers=2, end_ns=START_NS)) is None
    hang = found(excerpt_of(given, workers=2, end_ns=MS + START_NS))
    assert (hang.batch, hang.at, hang.longest_ns) == (0, "queue", 0)


def test_a_second_epoch_that_never_begins() -> None:
    rows = running().rows()
    over = int(rows["end"].max())
    given = rows_of(row(Kind.DISPATCH, over + SECOND, lane=MAIN, batch=0, epoch=1))
    hang = found(excerpt_of(np.concatenate([rows, given]), workers=2, end_ns=over + SECOND + START_NS))
    assert (hang.epoch, hang.batch, hang.since_ns) == (1, 0, over + SECOND)


# --- there is none ----------------------------------------------------------------------------------------------------


def none_in(rows: Rows, end_ns: int) -> bool:
    return find_hang(excerpt_of(rows, workers=2, start_ns=0, end_ns=end_ns)) is None


def test_nothing_recorded_is_no_hang() -> None:
    assert none_in(rows_of(), 60 * SECOND)


def test_a_wait_like_those_before_is_none() -> None:
    assert find_hang(stuck(waited_ns=HANG_NS - 1)) is None
    assert found(stuck(waited_ns=HANG_NS)).wait_ns == HANG_NS
    slow = Loader(1, [9 * SECOND] * 8, step_ns=20 * MS).rows()
    slow = slow[(slow["batch"] < 7) | (slow["kind"] == Kind.DISPATCH)]
    last = int(slow["end"].max())
    assert none_in(slow, last + 30 * SECOND)
    assert not none_in(slow, last + 90 * SECOND)


def test_a_loop_that_works_or_has_left_or_is_done_is_not_stuck() -> None:
    rows = running().rows()
    whole = int(rows["end"].max())
    assert none_in(rows, whole + 90 * SECOND)  # the epoch is over
    got = rows[(rows["batch"] <= STUCK) & (rows["end"] <= running_got())]
    assert none_in(got, running_got() + 90 * SECOND)  # at a long step
    left = stuck(row(Kind.WAIT_BATCH, asked(), asked()))
    assert find_hang(left) is None  # by break


def running_got() -> int:
    loader = running()
    loader.rows()
    return loader.got[STUCK]


def test_a_death_is_told_as_a_death() -> None:
    assert find_hang(stuck(row(Kind.DIED, asked() + SECOND, lane=MAIN, batch=STUCK, value=-9))) is None


def test_a_worker_that_gets_on_is_slow_and_not_stuck() -> None:
    assert find_hang(stuck(*looks(*range(128, 136)))) is None
    part = row(Kind.STAGE, asked(), asked() + 35 * SECOND, lane=FIRST_WORKER, batch=STUCK, sample=130, value=1)
    assert find_hang(stuck(part)) is None
    long_ago = row(Kind.STAGE, asked(), asked() + 20 * SECOND, lane=FIRST_WORKER, batch=STUCK, sample=130, value=1)
    assert found(stuck(long_ago)).at == "fetch"


def test_a_pause_is_none() -> None:
    pauses = [row(Kind.PAUSE, asked() + number * SECOND, asked() + (number + 1) * SECOND) for number in range(40)]
    assert find_hang(stuck(*pauses)) is None


def test_an_epoch_that_is_prepared_and_not_asked_for_is_none() -> None:
    rows = running().rows()
    over = int(rows["end"].max())
    begin = over + SECOND
    ready = [
        row(Kind.DISPATCH, begin, lane=MAIN, batch=0, epoch=1),
        row(Kind.WAIT_TASK, begin, begin, lane=FIRST_WORKER, batch=0, epoch=1),
        row(Kind.FETCH, begin, begin + MS, lane=FIRST_WORKER, batch=0, epoch=1),
        row(Kind.COLLATE, begin + MS, begin + 2 * MS, lane=FIRST_WORKER, batch=0, epoch=1),
        row(Kind.SEND, begin + 2 * MS, begin + 3 * MS, lane=FIRST_WORKER, batch=0, epoch=1),
    ]
    assert none_in(np.concatenate([rows, rows_of(*ready)]), begin + 90 * SECOND)
