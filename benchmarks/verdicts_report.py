"""The results of `benchmarks.verdicts`: summed up, printed, and as the table in README.md."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import table

README = table.ROOT / "README.md"
BEGIN, END = "<!-- verdicts:begin -->", "<!-- verdicts:end -->"

GOAL_RIGHT = 0.9
GOAL_MEDIAN, GOAL_P90 = 0.10, 0.25

Parts = Mapping[str, Mapping[str, dict[str, Any]]]


def right(found: Mapping[str, Any]) -> bool:
    """Whether the top finding is the truth."""
    return bool(found["found"] == found["truth"])


def summary(parts: Parts) -> dict[str, Any]:
    """How many were right of how many, per part; errors of gains."""
    counted = {
        part: {"right": sum(map(right, found)), "of": len(found)}
        for part in ("faults", "thin", "healthy")
        if (found := list(parts[part].values()))
    }
    errors = [abs(gain["after_per_s"] / gain["predicted_per_s"] - 1) for gain in parts["gains"].values()]
    if not errors:
        return counted
    gains = {"settings": len(errors), "median": float(np.median(errors)), "p90": float(np.quantile(errors, 0.9))}
    return {**counted, "gains": gains}


def line(found: Mapping[str, Any]) -> str:
    """One result."""
    if "truth" not in found:
        changes = ", ".join(f"{name}={value}" for name, value in found["changes"].items())
        return (
            f"{found['case']}: {found['before_per_s']:,.0f}/s, with {changes} predicted {found['predicted_per_s']:,.0f}"
            f" ({found['low_per_s']:,.0f} .. {found['high_per_s']:,.0f}), measured {found['after_per_s']:,.0f}"
        )
    wait = "" if found["wait_share"] is None else f", waits {found['wait_share']:.0%}"
    others = f" (then {', '.join(found['others'])})" if found["others"] else ""
    mark = "right" if right(found) else f"WRONG, it is {found['truth']}"
    return f"{found['case']}: {found['found']}{others}{wait}, {found['steps']} steps: {mark}"


# --- printed ----------------------------------------------------------------------------------------------------------


def show(parts: Parts, where: dict[str, Any]) -> None:
    """Print the confusion matrix, and the other parts."""
    faults = list(parts["faults"].values())
    if faults:
        rows = [[truth, f"{good} of {of}", _words(wrong)] for truth, good, of, wrong in matrix(faults)]
        good = sum(map(right, faults))
        title = f"Top finding by truth: right {good} of {len(faults)} (goal {GOAL_RIGHT:.0%})"
        table.show(title, ["truth", "right", "else found"], rows, where)
    for part, title in (("thin", "Thin windows"), ("healthy", "Healthy loaders")):
        found = list(parts[part].values())
        if found:
            rows = [[name, f"{good} of {of}", _words(wrong)] for name, good, of, wrong in matrix(found, by="fault")]
            table.show(title, ["case", "right", "else found"], rows, where)
    gains = list(parts["gains"].values())
    if gains:
        rows = [
            [
                gain["case"],
                ", ".join(f"{name}={value}" for name, value in gain["changes"].items()),
                f"{gain['before_per_s']:,.0f}",
                f"{gain['predicted_per_s']:,.0f}",
                f"{gain['after_per_s']:,.0f}",
                f"{gain['after_per_s'] / gain['predicted_per_s'] - 1:+.0%}",
            ]
            for gain in gains
        ]
        title = f"Advice followed (goal: errors of {GOAL_MEDIAN:.0%} in the median, {GOAL_P90:.0%} at 90 %)"
        table.show(title, ["case", "change", "before/s", "predicted/s", "measured/s", "error"], rows, where)


def matrix(found: Sequence[Mapping[str, Any]], by: str = "truth") -> list[tuple[str, int, int, Counter[str]]]:
    """The confusion matrix by rows: a truth, how many were right, of how many, and what else was found."""
    rows = []
    for truth in sorted({one[by] for one in found}):
        own = [one for one in found if one[by] == truth]
        wrong = Counter(one["found"] for one in own if not right(one))
        rows.append((truth, sum(map(right, own)), len(own), wrong))
    return rows


def _words(wrong: Counter[str]) -> str:
    return ", ".join(f"{code} {times}" for code, times in wrong.most_common())


# --- in README.md -----------------------------------------------------------------------------------------------------


def write_readme() -> None:
    """Put the table of what was measured last between the markers in README.md."""
    kept = json.loads((table.RESULTS / "verdicts.json").read_text())
    text = README.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise SystemExit(f"README.md has no place for the table: put {BEGIN} and {END} where it belongs.")
    before, rest = text.split(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{markdown(kept)}{END}{rest.split(END)[1]}", encoding="utf-8")


def markdown(kept: Mapping[str, Any]) -> str:
    """The matrix by truth, and under it the other parts."""
    lines = ["| what is wrong | top finding right | else found |", "|---|---:|---|"]
    for truth, good, of, wrong in matrix(list(kept["faults"].values())):
        lines.append(f"| {truth.upper()} | {good} of {of} | {_words(wrong).upper()} |")
    for part, title in (("healthy", "nothing (healthy loaders)"), ("thin", "too few steps to tell")):
        found = list(kept[part].values())
        if found:
            wrong = Counter(one["found"] for one in found if not right(one))
            lines.append(f"| {title} | {sum(map(right, found))} of {len(found)} | {_words(wrong).upper()} |")
    return "\n".join(lines) + f"\n\n{_conditions(kept)}\n"


def _conditions(kept: Mapping[str, Any]) -> str:
    where, found = kept["machine"], kept["summary"]["faults"]
    gains = kept["summary"].get("gains")
    text = (
        f"Right in {found['right']} of {found['of']}: every fault at three strengths, with torch's loader and ours. "
        f"{_machines(kept)}; {where['cpus']} cores, {where['system']}, Python {where['python']}, torch "
        f"{where['versions']['torch']}, the last of them at commit {where['commit']}."
    )
    if gains:
        text += (
            f" Advices of changed arguments, followed: the rate missed its prediction by {gains['median']:.0%} in the "
            f"median of {gains['settings']}, and by {gains['p90']:.0%} at the 90th percentile."
        )
    return f"{text} All cases: `benchmarks/results/verdicts.json`."


def _machines(kept: Mapping[str, Any]) -> str:
    """What was recorded on which processor, the one of most cases first."""
    names = {"faults": "faults", "healthy": "healthy loaders", "thin": "thin windows", "gains": "advices"}
    counted = Counter((one["cpu"], part) for part in names for one in kept[part].values())
    of_cpu = Counter(one["cpu"] for part in names for one in kept[part].values())
    said = []
    for cpu, _ in of_cpu.most_common():
        parts = [f"{counted[cpu, part]} {name}" for part, name in names.items() if counted[cpu, part]]
        said.append(f"{', '.join(parts)} on {cpu}")
    return "; ".join(said)
