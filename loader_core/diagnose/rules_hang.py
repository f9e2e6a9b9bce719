"""A hang: the training loop waits for a batch that does not come, and never before has it waited nearly as long."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from loader_core.diagnose.bilingual import NOTHING, Bilingual, count, duration
from loader_core.diagnose.desk import Desk
from loader_core.diagnose.excerpt import Excerpt, with_batch
from loader_core.diagnose.rows import Rows, of_kinds
from loader_core.diagnose.verdict_types import Code, Evidence, Finding
from loader_core.trace.event import NO_BATCH, NOT_MEASURED, Kind, Role

HANG_NS = 10_000_000_000
"""No wait that is shorter is called a hang ..."""
START_NS = 30_000_000_000
"""... nor one for the first batch of an epoch, for which workers import, open and read what they need."""
LONGER = 5
"""So many times the longest wait before. Many times that (`SURELY_LONGER`) is no slow batch any more."""
SURELY_LONGER = 20

MAIN = -1
"""The number of the main process as its own worker."""

At = Literal["draw", "queue", "fetch", "collate", "send"]
"""Where the batch stays away, as the phases of a stall have it."""


@dataclass(frozen=True, slots=True)
class Hang:
    """A wait of the training loop for a batch that had not come when the window ended, or the loop was interrupted."""

    epoch: int
    batch: int
    since_ns: int
    until_ns: int
    longest_ns: int
    """The longest wait of this loop before; 0: there was none."""
    at: At
    lane: int | None
    """Of the worker that has the batch; None: nobody had begun with it."""
    worker: int | None
    """Its number; MAIN: the main process by itself."""
    sample: int | None
    """That it was last seen at."""
    place: str | None
    """The line of the user's code that it was last seen at."""

    @property
    def wait_ns(self) -> int:
        """How long the loop has waited."""
        return self.until_ns - self.since_ns

    @property
    def in_main_process(self) -> bool:
        """Whether it is the main process that does not get on: it draws the indices, too."""
        return self.worker == MAIN or self.at == "draw"


def hanging(desk: Desk) -> list[Finding]:
    """The hang that the window ends with, if it does."""
    hang = find_hang(desk.excerpt)
    if hang is None:
        return []
    sure = hang.wait_ns >= SURELY_LONGER * hang.longest_ns and hang.wait_ns >= START_NS
    draft = desk.finding(
        Code.HANG,
        None,
        _sentence(hang),
        evidence=_evidence(desk, hang),
        advice=(_OWN_ADVICE if hang.worker == MAIN else _ADVICE[hang.at]).format(sample=_this_sample(hang)),
        confidence="high" if sure else "medium",
        place=hang.place,
        refuted_by=Bilingual(
            "Si el lote acaba por llegar, era lento y no estaba atascado.",
            "If the batch comes in the end, it was slow and not stuck.",
        ),
        experiment=_INTERRUPT if hang.in_main_process else _REPEAT,
    )
    return [draft.finding]


# --- found ------------------------------------------------------------------------------------------------------------


def find_hang(excerpt: Excerpt) -> Hang | None:
    """The longest wait that the window ends with and that is a hang; None: there is none."""
    lanes = [lane.lane for lane in excerpt.lanes if lane.role is Role.CONSUMER]
    found = [hang for lane in lanes if (hang := _on_lane(excerpt, lane)) is not None]
    return max(found, key=lambda hang: hang.wait_ns, default=None)


def _on_lane(excerpt: Excerpt, lane: int) -> Hang | None:
    rows = excerpt.rows[excerpt.rows["end"] <= excerpt.end_ns]
    rows = rows[excerpt.ranks(rows) == excerpt.rank(lane)]
    loop = of_kinds(rows[rows["lane"] == lane], Kind.WAIT_BATCH, Kind.STEP, Kind.PAUSE)
    got = with_batch(of_kinds(loop, Kind.WAIT_BATCH))
    given = with_batch(of_kinds(rows, Kind.DISPATCH))
    missing = given[given["epoch"] == given["epoch"].max(initial=0)]
    missing = missing[~np.isin(excerpt.keys(missing), excerpt.keys(got))]
    wait = _wait(excerpt, loop, missing, failed=excerpt.on(of_kinds(rows, Kind.ERROR), Role.WORKER))
    if wait is None or (of_kinds(rows, Kind.DIED)["end"] >= wait.since_ns).any():
        return None  # a death is a story of its own
    if len(missing):
        epoch, batch = int(missing["epoch"][0]), int(missing["batch"].min())
    elif len(got):
        last = got[np.argmax(got["end"])]
        epoch, batch = int(last["epoch"]), int(last["batch"]) + 1
    else:
        return None
    before = got[got["end"] <= wait.since_ns]
    longest_ns = int((before["end"] - before["start"]).max(initial=0))
    if wait.until_ns - wait.since_ns < max(HANG_NS if batch else START_NS, LONGER * longest_ns):
        return None
    own = rows[(rows["batch"] == batch) & (rows["epoch"] == epoch)]
    made = excerpt.on(own, Role.WORKER)
    if _was_told(rows, made, wait) or _goes_on(made, wait):
        return None
    hang = Hang(epoch, batch, wait.since_ns, wait.until_ns, longest_ns, "fetch", None, MAIN, None, None)
    if len(made):
        return _with_worker(excerpt, hang, made)
    return replace(hang, at="queue" if len(own) else "draw", worker=None) if len(given) else hang


def _with_worker(excerpt: Excerpt, hang: Hang, made: Rows) -> Hang:
    """With what is known of the worker that has the batch. `made`: its rows of that batch."""
    lane = int(made["lane"][-1])
    looks = of_kinds(made, Kind.STACK)
    looks = looks[looks["end"] >= hang.since_ns]
    samples = [row["sample"] for row in (*looks[-1:], *of_kinds(made, Kind.ERROR)) if row["sample"] != NOT_MEASURED]
    place = excerpt.places.get(int(looks["value"][-1]), "") if len(looks) else ""
    return replace(
        hang,
        at=_at(made),
        lane=lane,
        worker=excerpt.worker(lane),
        sample=int(samples[0]) if samples else None,
        place=place.partition(" | ")[0] or None,
    )


@dataclass(frozen=True, slots=True)
class _Wait:
    """The wait that the window ends with."""

    since_ns: int
    until_ns: int
    asked: bool = True
    """The loop is known to have asked: an epoch may have begun before it does."""


def _wait(excerpt: Excerpt, loop: Rows, missing: Rows, failed: Rows) -> _Wait | None:
    """What the loop does at the end of the window, if that is waiting.

    `missing`: batches given out and not got; `failed`: batches that could not be made.
    """
    if not len(loop):
        return _Wait(int(missing["start"].min()), excerpt.end_ns, asked=False) if len(missing) else None
    last = loop[np.lexsort((loop["start"], loop["end"]))[-1]]
    if last["kind"] != Kind.WAIT_BATCH:
        return _Wait(int(last["end"]), excerpt.end_ns)
    if last["batch"] != NO_BATCH:
        return None  # it works on that batch
    if last["end"] - last["start"] >= HANG_NS and (len(missing) or (failed["end"] >= last["start"]).any()):
        return _Wait(int(last["start"]), int(last["end"]))  # it was interrupted: there was a batch to wait for
    begun = missing[missing["start"] >= last["end"]]  # of an epoch after the one that was over, or left
    return _Wait(int(begun["start"].min()), excerpt.end_ns, asked=False) if len(begun) else None


def _was_told(rows: Rows, made: Rows, wait: _Wait) -> bool:
    """Whether the batch could not be made, and the loop was told so: its worker's end by Ctrl-C nobody tells."""
    errors = of_kinds(rows, Kind.ERROR)
    told = errors[(errors["end"] >= wait.since_ns) & ~np.isin(errors["lane"], made["lane"])]
    return bool(len(of_kinds(made, Kind.ERROR)) and len(told))


def _goes_on(made: Rows, wait: _Wait) -> bool:
    """Whether its worker got on with the batch of late: then it is slow, or there was none left, and nobody is stuck.

    A batch that was sent, for which the loop may not have asked yet, keeps nobody waiting either.
    """
    if not wait.asked and len(of_kinds(made, Kind.SEND)):
        return True
    late = made[made["end"] > wait.until_ns - HANG_NS]
    if len(np.unique(of_kinds(late, Kind.STACK)["sample"])) > 1:
        return True
    return not len(of_kinds(made, Kind.ERROR)) and len(of_kinds(late, Kind.FETCH, Kind.COLLATE, Kind.STAGE)) > 0


def _at(made: Rows) -> At:
    """How far its worker got with the batch."""
    fetched, collated, ended = (len(of_kinds(made, kind)) > 0 for kind in (Kind.FETCH, Kind.COLLATE, Kind.ERROR))
    if ended:  # with the wait, in the middle of what was recorded last
        return "collate" if collated else "fetch"
    return "send" if collated else "collate" if fetched else "fetch"


# --- said -------------------------------------------------------------------------------------------------------------

_WAITED = Bilingual(
    "El lote {batch} (época {epoch}) no había llegado tras {wait} de espera{longest}. ",
    "Batch {batch} (epoch {epoch}) had not come after {wait} of waiting{longest}. ",
)
_LONGEST = Bilingual(
    "; hasta entonces la espera más larga fue de {longest}", "; the longest wait before had been {longest}"
)
_AT: dict[At, Bilingual] = {
    "draw": Bilingual("No se había dado a ningún worker.", "It had been given to no worker."),
    "queue": Bilingual("Ningún worker había empezado con él.", "No worker had begun with it."),
    "fetch": Bilingual("{who} leía sus muestras{sample}{place}.", "{who} was reading its samples{sample}{place}."),
    "collate": Bilingual("{who} lo componía{place}.", "{who} was putting it together{place}."),
    "send": Bilingual("{who} lo había compuesto y lo enviaba.", "{who} had put it together and was sending it."),
}
_SAMPLE = Bilingual(" y estaba en la {sample}", " and was at sample {sample}")
_PLACE = Bilingual(", en {place}", ", in {place}")
_WORKER = Bilingual("El worker {number}", "Worker {number}")
_MAIN = Bilingual("El proceso principal", "The main process")

_ADVICE: dict[At, Bilingual] = {
    "draw": Bilingual(
        "Recorre el sampler a solas: se para antes de dar los índices.",
        "Iterate over the sampler alone: it stops before it gives the indices.",
    ),
    "queue": Bilingual(
        'Prueba multiprocessing_context="spawn": con fork, un cerrojo que otro hilo tenía al bifurcar no se suelta '
        "nunca. Mira también worker_init_fn.",
        'Try multiprocessing_context="spawn": with fork, a lock that another thread held at that moment is never let '
        "go. Look at worker_init_fn too.",
    ),
    "fetch": Bilingual(
        "Carga {sample} con num_workers=0 y mira dónde se para: suele ser una lectura sin límite de tiempo, un cerrojo "
        "heredado de fork o un bucle sin fin.",
        "Load {sample} with num_workers=0 and look where it stops: as a rule a read without a time limit, a lock "
        "inherited by fork, or an endless loop.",
    ),
    "collate": Bilingual(
        "Llama a collate_fn con esas muestras y num_workers=0, y mira dónde se para.",
        "Call collate_fn with these samples and num_workers=0, and look where it stops.",
    ),
    "send": Bilingual(
        "Mira si queda memoria compartida (df /dev/shm), y prueba pin_memory=False: el hilo que fija memoria puede "
        "haber muerto.",
        "Look whether shared memory is left (df /dev/shm), and try pin_memory=False: the thread that locks pages may "
        "have died.",
    ),
}

_OWN_ADVICE = Bilingual(
    "Carga {sample} a solas y mira dónde se para: suele ser una lectura sin límite de tiempo o un bucle sin fin.",
    "Load {sample} alone and look where it stops: as a rule a read without a time limit, or an endless loop.",
)
_INTERRUPT = Bilingual(
    "Lee la traza que deja Ctrl-C: acaba en la línea en que está parado.",
    "Read the traceback that Ctrl-C leaves: it ends at the line that it stands at.",
)
_REPEAT = Bilingual(
    "Repite con los mismos índices y timeout=60, que interrumpe la espera con un error: si se para en el mismo, la "
    "causa es esa muestra; si en otro, un cerrojo entre procesos.",
    "Run it again with the same indices and timeout=60, which ends the waiting with an error: if it stops at the same "
    "one, that sample is the cause; if at another, a lock between processes.",
)


def _sentence(hang: Hang) -> Bilingual:
    longest = _LONGEST.format(longest=duration(hang.longest_ns)) if hang.longest_ns else NOTHING
    who = NOTHING if hang.worker is None else _MAIN if hang.worker == MAIN else _WORKER.format(number=hang.worker)
    sample = NOTHING if hang.sample is None else _SAMPLE.format(sample=count(hang.sample))
    place = NOTHING if hang.place is None else _PLACE.format(place=hang.place)
    return _WAITED.format(
        batch=count(hang.batch), epoch=hang.epoch, wait=duration(hang.wait_ns), longest=longest
    ) + _AT[hang.at].format(who=who, sample=sample, place=place)


def _this_sample(hang: Hang) -> Bilingual:
    if hang.sample is None:
        return Bilingual("las muestras de ese lote", "the samples of that batch")
    return Bilingual("la muestra {sample}", "sample {sample}").format(sample=count(hang.sample))


def _evidence(desk: Desk, hang: Hang) -> list[Evidence]:
    window = hang.since_ns, hang.until_ns
    waited, longest = Bilingual("esperó", "waited"), Bilingual("la espera más larga antes", "longest wait before")
    found = [
        Evidence(waited, float(hang.wait_ns), "ns", (Kind.WAIT_BATCH.name,), (), *window),
        Evidence(longest, float(hang.longest_ns), "ns", (Kind.WAIT_BATCH.name,), (), desk.excerpt.start_ns, window[0]),
    ]
    looks = of_kinds(desk.excerpt.rows, Kind.STACK)
    inside = (looks["start"] >= window[0]) & (looks["end"] <= window[1]) & (looks["lane"] == hang.lane)
    if hang.lane is not None and inside.any():
        name = Bilingual("miradas al worker mientras tanto", "looks at the worker meanwhile")
        found.append(Evidence(name, float(inside.sum()), "", (Kind.STACK.name,), (hang.lane,), *window, "count"))
    return found
