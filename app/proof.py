"""The proof of an advice: a script that was run again with other arguments, beside what its run before promised.

Nobody has to say that two runs belong together. The later one is of the same loader of the same file, and differs in
the loader's arguments: because `loaderscope run --with` changed them, or because their line was changed.
"""

from __future__ import annotations

from pathlib import Path

from app.scores import Measured, Scores
from app.script import TRIAL
from loader_core.diagnose.predict import ModelError, Predictor
from loader_core.diagnose.rates import RATE_KINDS, Rate, steady_rate
from loader_core.diagnose.service import TooFewBatches
from loader_core.diagnose.setting import Setting
from loader_core.diagnose.stored import judged_from_ns, read_excerpt, setting_of
from loader_core.diagnose.whatif import predictor_of
from loader_core.errors import TraceError
from loader_core.trace.run_file import RUN_FILE, RunHeader, read_run_file
from loader_core.trace.trace import Trace

CHANGEABLE = (
    "num_workers",
    "prefetch_factor",
    "batch_size",
    "worker_method",
    "in_order",
    "persistent_workers",
    "pin_memory",
)
"""Arguments of a loader in which two runs may differ, and whose consequences are predicted."""


def run_before(header: RunHeader, runs_home: Path) -> Path | None:
    """The newest earlier recording of the same loader with other arguments; None where there is none, or no script.

    A loader is known by its file, what it is for and its dataset; of several in one start of the script it is that of
    the nearest line, since lines move when a file is edited. Trials of `loaderscope tune` are no runs of the user's.
    """
    setting = setting_of(header)
    if header.script is None or setting is None:
        return None
    found: dict[str, tuple[int, int, Path, RunHeader]] = {}
    for path in runs_home.glob(f"*/{RUN_FILE}"):
        try:
            other = read_run_file(path.parent)
        except TraceError:
            continue
        if other.script is None or _loader(other) != _loader(header) or other.name.startswith(TRIAL):
            continue
        if other.live or other.started_unix_ns >= header.started_unix_ns:
            continue
        away = abs(int(other.script.get("line", 0)) - int(header.script.get("line", 0)))
        group = str(other.script.get("group", ""))
        kept = found.get(group)
        if kept is None or (away, -other.started_unix_ns) < kept[:2]:
            found[group] = (away, -other.started_unix_ns, path.parent, other)
    for _, _, directory, other in sorted(found.values(), key=lambda one: one[1]):
        if setting_of(other) not in (None, setting):
            return directory
    return None


def _loader(header: RunHeader) -> tuple[object, ...]:
    script, loader = header.script or {}, header.loader or {}
    return script.get("file"), script.get("what"), script.get("rank"), loader.get("dataset")


def proof_of(directory: Path, scores: Scores) -> Measured | None:
    """What the run before this one promised for its arguments, and what came of it; the pair counts in the scores once.

    None where there is no such run, or where one of the two says too little. Raises TraceError.
    """
    trace = Trace.open(directory)
    before = run_before(trace.run, directory.parent)
    if before is None:
        return None
    try:
        return measured(predictor(Trace.open(before), scores.error()), trace, of=before.name, scores=scores)
    except TooFewBatches:
        return None


def predictor(trace: Trace, error: ModelError) -> Predictor:
    """A predictor from the stretch of a run that was recorded with its newest arguments. Raises TooFewBatches."""
    setting = _setting(trace)
    return predictor_of(read_excerpt(trace, judged_from_ns(trace.run)), setting, error=error)


def measured(predictor: Predictor, trace: Trace, *, of: str, scores: Scores, counts: bool = True) -> Measured:
    """What `predictor`, made from the run `of`, promised for the arguments of `trace`, beside what that run gave.

    The pair counts in the scores once, if it `counts`. Raises TooFewBatches.
    """
    setting, rate = _setting(trace), _rate(trace)
    [prediction] = predictor.predict([setting])
    if counts:
        scores.add(prediction, rate.samples_per_s, of=of, run=trace.run.id)
    return Measured(
        of=of,
        run=trace.run.id,
        changes=[
            f"{name}={getattr(setting, name)!r}"
            for name in CHANGEABLE
            if getattr(setting, name) != getattr(predictor.setting, name)
        ],
        before_per_s=predictor.service.samples_per_s,
        predicted=prediction,
        samples_per_s=rate.samples_per_s,
        score=scores.score(),
    )


def _setting(trace: Trace) -> Setting:
    setting = setting_of(trace.run)
    if setting is None:
        raise TooFewBatches(f"run {trace.run.id} does not say its loader's arguments")
    return setting


def _rate(trace: Trace) -> Rate:
    begin_ns = judged_from_ns(trace.run)
    rows = trace.window(begin_ns, trace.duration_ns, RATE_KINDS)
    rate = steady_rate(rows[rows["start"] >= begin_ns])
    if rate is None:
        raise TooFewBatches(f"run {trace.run.id} took no batch at a steady pace: let it go on")
    return rate
