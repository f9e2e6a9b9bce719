"""Prefetch: a queue by hand between the one who makes batches and the one who uses them, and how long it should be."""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from loader_core.lessons.lesson import Findings, Lesson, Parameter, Question, Setting, Task
from loader_core.lessons.log import Curve, Measure
from loader_core.lessons.recorded import Run, common_ns, line_of, rows_of, tell, wait_share
from loader_core.trace import Kind, Recording

PROGRAM = """
import queue
import tempfile
import threading
import time
from itertools import count
from pathlib import Path

from loader_core.trace import Kind, Recording, Role, now

TRAIN = 0.010
STEADY = [0.008] * 24
# es: De vez en cuando, un lote que tarda mucho más.
# en: Now and then, a batch that takes much longer.
BURSTS = [0.044 if number % 8 == 5 else 0.003 for number in range(24)]
SLOW = [0.020] * 24


def fill(ready, costs, numbers, share, worker):
    record = share.recorder(Role.WORKER, worker)
    for number in numbers:
        if number >= len(costs):
            break
        start = now()
        time.sleep(costs[number])
        record.add(Kind.FETCH, number, start)
        start = now()
        # es: Si la cola está llena, aquí se espera.
        # en: While the queue is full, this waits.
        ready.put(number)
        record.add(Kind.SEND, number, start)
    record.close()


def drain(ready, costs, recording):
    record = recording.recorder(Role.CONSUMER)
    for place in range(len(costs)):
        asked, depth = now(), ready.qsize()
        # es: Si está vacía, aquí.
        # en: While it is empty, this does.
        number = ready.get()
        record.add(Kind.WAIT_BATCH, number, asked, value=depth)
        start = now()
        time.sleep(TRAIN)
        record.add(Kind.STEP, number, start, value=1)


def run(costs, size, workers, recording):
    ready = queue.Queue(maxsize=size)
    # es: Los números de los lotes, de los que cada uno toma el siguiente.
    # en: The batches' numbers, of which each takes the next.
    numbers = count()
    for worker in range(workers):
        filling = (ready, costs, numbers, recording.share(), worker)
        threading.Thread(target=fill, args=filling).start()
    drain(ready, costs, recording)


if __name__ == "__main__":
    with Recording.create(Path(tempfile.mkdtemp()), run_id="queue") as recording:
        run(BURSTS, $size, 1, recording)  #? bursts
        run(STEADY, $size, 1, recording)  #? steady
        run(SLOW, $size, 1, recording)  #? slow
        run(SLOW, 16, 1, recording)  #? slow-long
        run(SLOW, $size, 2, recording)  #? slow-two
"""

SIZES = (1, 2, 4, 8)
"""Queues whose waiting is measured; all at once, since they only sleep."""

KEEPS_UP = 0.2
"""A consumer that waits for less than this share of its time is kept busy."""


def measure(setting: Setting) -> Findings:
    """Runs the program; then the same with longer and longer queues."""
    tempfile.tempdir = os.fspath(setting.folder)  # the program's recording goes with this execution
    names = setting.run()
    directory = names["recording"].directory
    told = tell(
        [Run("", directory, "Queue")],
        asking=line_of(setting, "ready.get()"),
        working=line_of(setting, "time.sleep(TRAIN)"),
    )
    rows = rows_of(directory)
    waits = rows[rows["kind"] == Kind.WAIT_BATCH]
    share = wait_share(rows)
    measures: dict[str, Measure] = {
        "batches": Measure(len(waits), "batches"),
        "size": Measure(setting.whole("size"), "batches"),
        "wait_share": Measure(share, "share"),
        "most_ready": Measure(int(waits["value"].max()), "batches"),
        "keeps_up": Measure(share < KEEPS_UP),
        "took": Measure(int(rows["end"].max() - rows["start"].min()) / 1e9, "s"),
        "meanwhile": Measure(_meanwhile(rows), "share"),
    }
    courses = _courses(names)
    return Findings(
        measures=measures
        | {
            "shortest_queue": Measure(SIZES[0], "batches"),
            "longest_queue": Measure(SIZES[-1], "batches"),
            "bursts_short": Measure(courses["bursts"][0], "share"),
            "bursts_long": Measure(courses["bursts"][-1], "share"),
            "slow_short": Measure(courses["slow"][0], "share"),
            "slow_long": Measure(courses["slow"][-1], "share"),
            "two_workers": Measure(courses["two"][0], "share"),
        },
        curves=[
            Curve(f"wait_{name}", "batches", "share", SIZES[: len(course)], tuple(course))
            for name, course in courses.items()
            if len(course) > 1
        ],
        lanes=told.lanes,
        spans=told.spans,
        steps=told.steps,
    )


def _meanwhile(rows: Any) -> float:
    """The share of the making that went on while the consumer worked."""
    by_lane = [rows[(rows["kind"] != Kind.FETCH) | (rows["lane"] == lane)] for lane in set(rows["lane"].tolist())]
    fetched = rows[rows["kind"] == Kind.FETCH]
    return sum(common_ns(one, Kind.FETCH, Kind.STEP) for one in by_lane) / int(
        (fetched["end"] - fetched["start"]).sum()
    )


def _courses(names: dict[str, Any]) -> dict[str, list[float]]:
    def share_of(costs: list[float], size: int, workers: int = 1) -> float:
        with Recording.create(Path(tempfile.mkdtemp()), run_id="queue") as recording:
            names["run"](costs, size, workers, recording)
        return wait_share(rows_of(recording.directory))

    with ThreadPoolExecutor(2 * len(SIZES) + 1) as pool:
        bursts = [pool.submit(share_of, names["BURSTS"], size) for size in SIZES]
        slow = [pool.submit(share_of, names["SLOW"], size) for size in SIZES]
        two = [pool.submit(share_of, names["SLOW"], SIZES[1], 2)]
        return {
            name: [one.result() for one in waiting]
            for name, waiting in (("bursts", bursts), ("slow", slow), ("two", two))
        }


LESSON = Lesson(
    id="09-prefetch",
    program=PROGRAM,
    variants=("bursts", "steady", "slow", "slow-long", "slow-two"),
    parameters=(Parameter("size", "int", 2, min=1, max=12, unit="batches"),),
    measure=measure,
    traced=False,
    memory_bytes=8 * 1024**3,
    prediction=Question(measure="wait_share", min=0, max=1, unit="share", tolerance=0.25),
    task=Task(start="slow", choices=("slow", "slow-long", "slow-two"), measure="keeps_up", wanted=True),
    question=Question(measure="most_ready", min=0, max=12, unit="batches"),
)
