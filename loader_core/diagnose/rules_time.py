"""Rules about beginnings: of the run, and of its epochs (tier 9); and about ranks (tier 11)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from loader_core.diagnose.bilingual import Bilingual, count, duration, share
from loader_core.diagnose.desk import Desk, Draft, argument, code_change
from loader_core.diagnose.verdict_types import Code, Evidence
from loader_core.trace.event import Kind, Role

START_SHARE = 0.2
"""Of the run: a start that takes more of it is worth a finding ..."""
START_NS = 400_000_000
"""... if it takes longer than this."""
RESPAWN_SHARE = 0.02
"""Of the loop's time: starting workers anew that costs more is told, even where the loop hardly waits."""
STRAGGLER_SHARE = 0.1
"""Of a rank's time per step that it waits longer than the others do (TraceML)."""


@dataclass(frozen=True, slots=True)
class Start:
    """The start of a run: from the first sign of its loader until the loop had its first batch."""

    begin_ns: int
    worker_ns: int | None
    """When the worker that made the first batch had started; None: there was none, or it was not recorded."""
    fetch_ns: int | None
    """When it began to fetch."""
    made_ns: int | None
    got_ns: int


def start_of(desk: Desk) -> Start | None:
    """The start, if it lies in the window."""
    grounds, excerpt = desk.grounds, desk.excerpt
    first = grounds.first_wait
    if first is None:
        return None
    asked, got = int(first["start"]), int(first["end"])
    rank = excerpt.rank(int(first["lane"]))
    begun = np.concatenate([excerpt.of(Kind.START), excerpt.of(Kind.DISPATCH)])
    begun = begun[[excerpt.rank(int(lane)) == rank for lane in begun["lane"]]] if len(begun) else begun
    signs = [int(at) for at in begun["start"] if at <= asked]
    fetch, send = (
        next(iter(rows[(rows["batch"] == 0) & (rows["epoch"] == 0) & (rows["end"] <= got)]), None)
        for rows in (excerpt.of(Kind.FETCH), excerpt.of(Kind.SEND))
    )
    worker_ns = None
    if fetch is not None:
        starts = excerpt.of(Kind.START)
        own = starts[(starts["lane"] == fetch["lane"]) & (starts["start"] <= fetch["start"])]
        worker_ns = int(own["start"].min()) if len(own) else None
    return Start(
        begin_ns=min([asked, *signs]),
        worker_ns=worker_ns,
        fetch_ns=None if fetch is None else int(fetch["start"]),
        made_ns=None if send is None else int(send["end"]),
        got_ns=got,
    )


def starting(desk: Desk) -> list[Draft]:
    """The first batch takes a large part of the run."""
    start = start_of(desk)
    if start is None:
        return []
    grounds = desk.grounds
    times = grounds.worker_times
    usual = times.made_ns if times is not None else 0.0
    took = start.got_ns - start.begin_ns
    beyond = int(took - usual)
    run_ns = max(1, grounds.end_ns - start.begin_ns)
    if beyond < max(START_NS, START_SHARE * run_ns):
        return []
    parts = {"took": duration(took), "usual": duration(usual), "share": share(took / run_ns), "split": _split(start)}
    return [
        desk.finding(
            Code.STARTUP_BOUND,
            None,
            Bilingual(
                "El primer lote tardó {took}, y los demás se hacen en {usual}: el arranque es el {share} de lo que "
                "duró la ejecución.{split}",
                "The first batch took {took}, and the others are made in {usual}: starting is {share} of the time the "
                "run took.{split}",
            ).format(**parts),
            evidence=_start_evidence(desk, start),
            advice=Bilingual(
                "Haz menos al empezar: abre archivos y carga modelos en el primer __getitem__ y no en cada worker, "
                "importa solo lo necesario, pasa al dataset rutas y no datos, usa forkserver o fork en vez de spawn.",
                "Do less at the start: import only what is needed, give the dataset paths and not data, load once "
                "before the workers start and not in each of them, use fork or forkserver instead of spawn.",
            ),
            changes=[
                code_change("menos trabajo en __init__ y worker_init_fn", "less work in __init__, worker_init_fn")
            ],
            place="worker_init_fn, __init__" if start.worker_ns is not None else None,
            confidence="high" if beyond > 0.25 * run_ns else "medium",
            refuted_by=Bilingual(
                "Una ejecución diez veces más larga: si el arranque pasa a ser menos del 2 %, no importa.",
                "A run ten times as long: if starting is less than 2 % of it, it does not matter.",
            ),
            experiment=Bilingual(
                "Mide cuánto tarda python -X importtime con tu script, y pickle.dumps(dataset).",
                "Measure what python -X importtime says of your script, and how long pickle.dumps(dataset) takes.",
            ),
        )
    ]


def _start_evidence(desk: Desk, start: Start) -> list[Evidence]:
    return [
        Evidence(
            Bilingual("hasta el primer lote", "until the first batch"),
            float(start.got_ns - start.begin_ns),
            "ns",
            (Kind.START.name, Kind.DISPATCH.name, Kind.WAIT_BATCH.name),
            (),
            start.begin_ns,
            start.got_ns,
        ),
        desk.evidence(Bilingual("leer un lote, de media", "fetching a batch, in the mean"), "mean_ns", Kind.FETCH),
    ]


def _split(start: Start) -> Bilingual:
    """How the start is shared out, as a sentence."""
    if start.fetch_ns is None or start.made_ns is None:
        return Bilingual("", "")
    worker_ns = start.worker_ns if start.worker_ns is not None else start.begin_ns
    return Bilingual(
        " De eso, {spawn} hasta que hubo worker, {ready} hasta que empezó a leer, y {made} para hacer el lote.",
        " Of that, {spawn} until there was a worker, {ready} until it began to fetch, and {made} to make the batch.",
    ).format(
        spawn=duration(max(0, worker_ns - start.begin_ns)),
        ready=duration(max(0, start.fetch_ns - max(worker_ns, start.begin_ns))),
        made=duration(max(0, start.made_ns - start.fetch_ns)),
    )


def start_excess_ns(desk: Desk) -> int:
    """What the start takes beyond making a batch; 0 where it was not seen."""
    start, times = start_of(desk), desk.grounds.worker_times
    return 0 if start is None else max(0, int(start.got_ns - start.begin_ns - (times.made_ns if times else 0)))


def respawning(desk: Desk) -> list[Draft]:
    """Workers are started anew for each epoch."""
    grounds, ns = desk.grounds, desk.waiting.respawn_ns
    epochs = len([one for one in grounds.epoch_ends if one[1] >= grounds.warm_ns])
    if not ns or not epochs or not grounds.loop_ns or ns / grounds.loop_ns < RESPAWN_SHARE:
        return []
    parts = {
        "epochs": count(epochs),
        "each": duration(ns / epochs),
        "share": share(desk.share(ns)),
        "loop": share(ns / grounds.loop_ns),
    }
    setting = None if grounds.setting is None else replace(grounds.setting, persistent_workers=True)
    return [
        desk.finding(
            Code.EPOCH_RESPAWN,
            ns,
            Bilingual(
                "Los workers se crean de nuevo en cada época: {each} cada vez, {epochs} veces. Es el {loop} del tiempo "
                "del bucle y el {share} de la espera.",
                "Workers are started anew for each epoch: {each} each time, {epochs} times. That is {loop} of the "
                "loop's time, and {share} of the wait.",
            ).format(**parts),
            evidence=[
                desk.derived(
                    Bilingual("crear los workers, por época", "starting workers, per epoch"),
                    ns / epochs,
                    "ns",
                    Kind.START,
                    Kind.WAIT_BATCH,
                ),
                desk.evidence(
                    Bilingual("workers creados", "workers started"),
                    "count",
                    Kind.START,
                    lanes=[lane.lane for lane in desk.excerpt.lanes if lane.role is Role.WORKER],
                ),
            ],
            advice=Bilingual(
                "Usa persistent_workers=True: los workers siguen vivos entre épocas.",
                "Use persistent_workers=True: workers stay alive between epochs.",
            ),
            changes=[argument("persistent_workers", True)],
            setting=setting,
            refuted_by=Bilingual(
                "Si con persistent_workers=True las épocas empiezan igual de despacio, no era eso.",
                "If epochs begin as slowly with persistent_workers=True, it was not that.",
            ),
            experiment=Bilingual(
                "Mide dos épocas con persistent_workers=True.", "Measure two epochs with persistent_workers=True."
            ),
        )
    ]


def straggling(desk: Desk) -> list[Draft]:
    """One rank waits longer for its batches than the others do, and they wait for it."""
    grounds, excerpt = desk.grounds, desk.excerpt
    per_rank: dict[int, tuple[float, float]] = {}
    waits = np.concatenate([grounds.steady_waits, grounds.warm(grounds.boundary_waits)])
    steps = grounds.warm_steps
    for rank in sorted({lane.rank for lane in excerpt.lanes if lane.role is Role.CONSUMER}):
        lanes = [lane.lane for lane in excerpt.lanes if lane.rank == rank and lane.role is Role.CONSUMER]
        own_waits, own_steps = waits[np.isin(waits["lane"], lanes)], steps[np.isin(steps["lane"], lanes)]
        if len(own_steps):
            waited, stepped = ((rows["end"] - rows["start"]).sum() for rows in (own_waits, own_steps))
            per_rank[rank] = float(waited) / len(own_steps), float(stepped) / len(own_steps)
    own = set(per_rank)
    per_rank |= {pace.rank: (pace.waited_ns, pace.stepped_ns) for pace in excerpt.beside if pace.rank not in own}
    if len(per_rank) < 2 or not own:
        return []
    slowest = max(per_rank, key=lambda rank: per_rank[rank][0])
    others = float(np.median([wait for rank, (wait, _) in per_rank.items() if rank != slowest]))
    wait, step = per_rank[slowest]
    excess = wait - others
    if excess < STRAGGLER_SHARE * (wait + step):
        return []
    lanes = [lane.lane for lane in excerpt.lanes if lane.rank == slowest and lane.role is Role.CONSUMER]
    # What another run's rank waits is no part of the waiting here.
    ns = int(excess * sum(1 for lane in steps["lane"].tolist() if lane in lanes)) if slowest in own else None
    waiting = Bilingual(f"espera del proceso {slowest}, por paso", f"waiting of rank {slowest}, per step")
    parts = {
        "rank": count(slowest),
        "wait": duration(wait),
        "others": duration(others),
        "share": share(excess / (wait + step)),
    }
    return [
        desk.finding(
            Code.RANK_STRAGGLER,
            ns,
            Bilingual(
                "El proceso {rank} espera {wait} por paso y los demás {others}: va el {share} de cada paso por detrás, "
                "y los demás lo esperan a él al sincronizar.",
                "Rank {rank} waits {wait} per step, and the others {others}: it is {share} of a step behind, and the "
                "others wait for it when they synchronise.",
            ).format(**parts),
            evidence=[
                desk.evidence(waiting, "mean_ns", Kind.WAIT_BATCH, lanes=lanes)
                if slowest in own
                else desk.derived(waiting, wait, "ns"),
                desk.derived(
                    Bilingual("espera de los demás, por paso", "waiting of the others, per step"),
                    others,
                    "ns",
                    Kind.WAIT_BATCH,
                ),
            ],
            advice=Bilingual(
                "Reparte por igual lo que cuesta, no solo el número de muestras: baraja antes de repartir, parte los "
                "fragmentos grandes, y mira si el proceso {rank} comparte disco o núcleos.",
                "Share out what samples cost, and not only how many there are: shuffle before sharding, split large "
                "shards, and look whether rank {rank} shares a disk or cores.",
            ).format(**parts),
            changes=[code_change("repartir las muestras por coste", "samples shared out by what they cost")],
            confidence="high" if len(steps) >= 60 else "medium",
            refuted_by=Bilingual(
                "Si al intercambiar los fragmentos de dos procesos el retraso no cambia de proceso, son los nodos.",
                "If the lag does not move when two ranks swap their shards, it is the nodes.",
            ),
            experiment=Bilingual(
                "Da al proceso {rank} los datos de otro y mide.",
                "Give rank {rank} the data of another one, and measure.",
            ).format(**parts),
        )
    ]
