"""The results of `benchmarks.engines`: as JSON, as printed tables, and as the table in README.md.

The JSON keeps each workload with the machine, the commit and the moment that it was measured at, so that one workload
can be measured anew without the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import table
from benchmarks.limits import LIMITS
from benchmarks.measures import Epoch, Measured
from benchmarks.peers import ENGINES, TORCH
from benchmarks.table import Spread
from benchmarks.workloads import WORKLOADS, Workload

README = table.ROOT / "README.md"
BEGIN, END = "<!-- engines:begin -->", "<!-- engines:end -->"


@dataclass(frozen=True, slots=True)
class Quantity:
    """How a number is shown, and which of two is the better one."""

    heading: str
    unit: str
    more_is_better: bool = False


QUANTITIES = {
    "samples_per_s": Quantity("samples/s", "/s", more_is_better=True),
    "gb_per_s": Quantity("GB/s", " GB/s", more_is_better=True),
    "waiting_share": Quantity("waiting", " %"),
    "wait_p99_ms": Quantity("longest wait but 1 %", " ms"),
    "first_batch_ms": Quantity("first batch", " ms"),
    "first_ever_ms": Quantity("very first", " ms"),
    "growth_mb": Quantity("growth", " MB"),
    "first_mb": Quantity("at first batch", " MB"),
    "end_mb": Quantity("at end", " MB"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One engine on one workload."""

    title: str
    numbers: dict[str, Spread]
    """Empty if it failed."""
    times_torch: Spread | None
    """How many times as good as torch's loader in the same round, by the first number; None where that says nothing."""
    differs: str
    failed: str
    """Why there are no numbers of some round, or ""."""


@dataclass(frozen=True, slots=True)
class Result:
    """All engines on one workload."""

    workload: str
    title: str
    samples: int
    batch_size: int
    rounds: int
    machine: dict[str, Any]
    engines: dict[str, Row]


# --- rounds -> results ------------------------------------------------------------------------------------------------


def result(
    workload: Workload,
    engines: Sequence[str],
    rounds: Sequence[Mapping[str, Measured | str]],
    *,
    where: dict[str, Any],
    samples: int,
) -> Result:
    """Put the rounds together. An engine counts in the rounds in which both it and torch gave numbers."""
    base = next((found.epoch for each in rounds if isinstance(found := each[TORCH], Measured)), None)
    rows = {name: _row(name, [_checked(name, each, base) for each in rounds], workload) for name in engines}
    return Result(workload.name, workload.title, samples, workload.batch_size, len(rounds), where, rows)


_Pair = tuple[Measured | str, Measured | str]


def _checked(name: str, found: Mapping[str, Measured | str], base: Epoch | None) -> _Pair:
    """What the engine and torch gave in a round; what did other work than torch has failed."""
    own = found[name]
    if isinstance(own, Measured) and own.epoch is not None and base is not None:
        other = own.epoch.differs_from(base, pixels=not ENGINES[name].own_pixels)
        if other:
            return f"did other work than torch: {other}", found[TORCH]
    return own, found[TORCH]


def _row(name: str, pairs: Sequence[_Pair], workload: Workload) -> Row:
    good = [own for own, _ in pairs if isinstance(own, Measured)]
    failed = next((own for own, _ in pairs if isinstance(own, str)), "")
    spreads = {key: Spread.of([each.numbers[key] for each in good]) for key in (good[0].numbers if good else ())}
    engine = ENGINES.get(name)
    title = engine.title if engine else f"limit: {LIMITS[name]} process{'es' * (LIMITS[name] > 1)}, no loader"
    comparable = workload.measure != "memory"
    ratios = [times for own, torchs in pairs if comparable and (times := _times(own, torchs)) is not None]
    return Row(title, spreads, Spread.of(ratios) if ratios else None, engine.differs if engine else "", failed)


def _times(own: Measured | str, torchs: Measured | str) -> float | None:
    """How many times as good as torch; None if one of them failed."""
    if isinstance(own, str) or isinstance(torchs, str):
        return None
    key, value = next(iter(own.numbers.items()))
    base = torchs.numbers[key]
    return value / base if QUANTITIES[key].more_is_better else base / max(value, 1e-9)


# --- to JSON and back -------------------------------------------------------------------------------------------------


def keep(file: str, found: Result) -> Any:
    """Write `found` into benchmarks/results, beside the other workloads that are there. Returns the path."""
    path = table.RESULTS / f"{file}.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    kept[found.workload] = asdict(found)
    return table.write(file, {name: kept[name] for name in WORKLOADS if name in kept})


def read(file: str = "engines") -> list[Result]:
    """What `keep` wrote."""
    kept = json.loads((table.RESULTS / f"{file}.json").read_text())
    return [_result(entry) for entry in kept.values()]


def _result(entry: dict[str, Any]) -> Result:
    rows = {}
    for name, row in entry["engines"].items():
        spreads = {key: Spread(**spread) for key, spread in row["numbers"].items()}
        times = Spread(**row["times_torch"]) if row["times_torch"] else None
        rows[name] = Row(row["title"], spreads, times, row["differs"], row["failed"])
    return Result(**{**entry, "engines": rows})


# --- printed ----------------------------------------------------------------------------------------------------------


def numbers(found: Mapping[str, float]) -> str:
    """One measurement in a line."""
    return ", ".join(f"{QUANTITIES[key].heading} {_shown(key, value)}" for key, value in found.items())


def show(found: Result) -> None:
    """Print the table of a workload."""
    keys = next((list(row.numbers) for row in found.engines.values() if row.numbers), [])
    columns = ["engine", *(QUANTITIES[key].heading for key in keys), "times torch", "differs"]
    rows = []
    for row in found.engines.values():
        cells = [_spread(key, row.numbers[key]) if row.numbers else "failed" for key in keys]
        rows.append([row.title, *cells, str(row.times_torch or ""), row.failed or row.differs])
    title = f"{found.workload}: {found.title}. Median (lowest .. highest) of {found.rounds} rounds"
    table.show(title, columns, rows, found.machine)


def _spread(key: str, spread: Spread) -> str:
    if spread.lowest == spread.highest:
        return _shown(key, spread.median)
    low, high = (_shown(key, value).removesuffix(QUANTITIES[key].unit) for value in (spread.lowest, spread.highest))
    return f"{_shown(key, spread.median)} ({low} .. {high})"


def _shown(key: str, value: float) -> str:
    if key == "waiting_share":
        value *= 100
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if key == "samples_per_s" and value >= size:
            return f"{value / size:.3g}{letter}{QUANTITIES[key].unit}"
    return f"{value:,.0f}{QUANTITIES[key].unit}" if value >= 100 else f"{value:.2g}{QUANTITIES[key].unit}"


# --- in README.md -----------------------------------------------------------------------------------------------------

_HEADINGS = ("", "torch", "Loaderscope", "ratio", "of the limit", "best other loader, ratio")


def write_readme() -> None:
    """Put the table of what was measured last between the markers in README.md."""
    text = README.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise SystemExit(f"README.md has no place for the table: put {BEGIN} and {END} where it belongs.")
    before, rest = text.split(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{markdown(read())}{END}{rest.split(END)[1]}", encoding="utf-8")


def markdown(results: Sequence[Result]) -> str:
    """The table, and under it where and how it was measured."""
    lines = [f"| {' | '.join(_HEADINGS)} |", f"|---|{'---:|' * (len(_HEADINGS) - 2)}---|"]
    lines += [f"| {' | '.join(_cells(found))} |" for found in results]
    return "\n".join(lines) + f"\n\n{_conditions(results)}\n"


def _cells(found: Result) -> list[str]:
    ours, torchs = found.engines["ours"], found.engines[TORCH]
    key = "gb_per_s" if found.workload == "W3" else next(iter(torchs.numbers))
    limit = found.engines.get("limit")
    reached = f"{ours.numbers[key].median / limit.numbers[key].median:.0%}" if limit and limit.numbers else ""
    return [
        found.title,
        _shown(key, torchs.numbers[key].median),
        _shown(key, ours.numbers[key].median),
        f"**{_ratio(ours.times_torch)}**" if ours.times_torch else "",
        reached,
        _best_other(found),
    ]


def _ratio(spread: Spread) -> str:
    return f"{spread.median:.3g}x ({spread.lowest:.3g} .. {spread.highest:.3g})"


def _best_other(found: Result) -> str:
    others = [
        (row.times_torch.median, row)
        for name, row in found.engines.items()
        if row.times_torch and name in ENGINES and ENGINES[name].needs
    ]
    if not others:
        return ""
    ratio, row = max(others, key=lambda other: other[0])
    return f"{row.title} {ratio:.3g}x" + (f" ({row.differs})" if row.differs else "")


def _conditions(results: Sequence[Result]) -> str:
    machines = [found.machine for found in results]
    first = machines[0]
    versions = ", ".join(f"{name} {version}" for name, version in first["versions"].items())
    commits = sorted({str(machine["commit"]) for machine in machines})
    rounds = sorted({found.rounds for found in results})
    return (
        f"Two worker processes each, medians of {' or '.join(map(str, rounds))} rounds (ratio: lowest .. highest; each "
        f"to torch in the same round); for times the ratio says how many times shorter. {first['cpu']}, "
        f"{first['cpus']} cores, {first['system']}, Python {first['python']}, {versions}, commit "
        f"{', '.join(commits)}. The limit is what as many processes reach without a loader, delivering to nobody. All "
        "engines, threads and no workers, recorded and not: `benchmarks/results/engines.json`."
    )
