"""`loaderscope compare`: two runs, what changed between them, and whether it is noise."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.reports.values import SCHEMA
from app.reports.words import code_name
from app.summary import Lang
from loader_core.diagnose.bilingual import Bilingual, count, number, share
from loader_core.diagnose.comparison import RateChange, rate_change
from loader_core.diagnose.setting import Setting
from loader_core.diagnose.verdict import grounds_of_run, judge
from loader_core.diagnose.verdict_types import Code, Verdict
from loader_core.trace.run_file import read_run_file


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from one run to another."""

    names: tuple[str, str]
    """Ids of the runs."""
    changed: dict[str, tuple[Any, Any]]
    """Settings that differ, and versions: before, after. None: not known."""
    verdicts: tuple[Verdict, Verdict]
    rate: RateChange

    def as_plain(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        before, after = (
            {
                "id": name,
                "wait_share": verdict.wait_share,
                "samples_per_s": verdict.samples_per_s,
                "steps": verdict.steps,
                "top": verdict.top().code.value,
            }
            for name, verdict in zip(self.names, self.verdicts, strict=True)
        )
        return {
            "schema": SCHEMA,
            "before": before,
            "after": after,
            "changed": {name: list(pair) for name, pair in self.changed.items()},
            "rate": asdict(self.rate),
        }


def compare_runs(before: Path, after: Path) -> Comparison:
    """Compare two recordings. Raises TraceError."""
    first, second = grounds_of_run(before), grounds_of_run(after)
    verdicts = tuple(judge(one.excerpt, one.facts, one.limits, setting=one.setting) for one in (first, second))
    return Comparison(
        names=(before.name, after.name),
        changed=_changed(before, after, first.setting, second.setting),
        verdicts=(verdicts[0], verdicts[1]),
        rate=rate_change(first, second),
    )


def _changed(before: Path, after: Path, first: Setting | None, second: Setting | None) -> dict[str, tuple[Any, Any]]:
    said = [_said(directory, setting) for directory, setting in ((before, first), (after, second))]
    names = dict.fromkeys([*said[0], *said[1]])
    pairs = {name: (said[0].get(name), said[1].get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _said(directory: Path, setting: Setting | None) -> dict[str, Any]:
    """What a run says of how it was made: the loader's arguments and the like, cores, versions."""
    run = read_run_file(directory)
    found: dict[str, Any] = (
        {}
        if setting is None
        else {field.name: getattr(setting, field.name) for field in fields(Setting) if field.name not in _NOT_SAID}
    )
    plain = run.settings if run.settings is not None else run.loader
    found.update({name: value for name, value in (plain or {}).items() if isinstance(value, str | int | float | bool)})
    found.pop("name", None)
    return {**found, **run.versions}


_NOT_SAID = ("faster", "cached", "ranks")
"""Fields of Setting that no run has: they are asked of a predictor."""

_TEXTS = {
    "before": Bilingual("antes", "before"),
    "after": Bilingual("después", "after"),
    "same settings": Bilingual("Los ajustes son los mismos.", "The settings are the same."),
    "wait": Bilingual("espera", "waiting"),
    "rate": Bilingual("muestras/s", "samples/s"),
    "steps": Bilingual("pasos", "steps"),
    "verdict": Bilingual("veredicto", "verdict"),
    "faster": Bilingual(
        "Es {ratio} veces tan rápido ({low} a {high}): no es ruido.",
        "It is {ratio} times as fast ({low} to {high}): that is no noise.",
    ),
    "slower": Bilingual(
        "Es {ratio} veces tan rápido ({low} a {high}): va más despacio, y no es ruido.",
        "It is {ratio} times as fast ({low} to {high}): slower, and that is no noise.",
    ),
    "same": Bilingual(
        "Es {ratio} veces tan rápido ({low} a {high}): la diferencia puede ser ruido.",
        "It is {ratio} times as fast ({low} to {high}): the difference may be noise.",
    ),
    "unknown": Bilingual(
        "Se vieron muy pocos pasos para decir si la diferencia es ruido.",
        "Too few steps were seen to tell whether the difference is noise.",
    ),
    "test": Bilingual(
        "Prueba de Welch con {first} y {second} bloques de pasos; intervalo del 95 %. La razón es la de los bloques, y "
        "no tiene por qué ser la de las dos velocidades.",
        "Welch's test of {first} and {second} blocks of steps; 95 % interval. The ratio is that of the blocks, and "
        "need not be that of the two rates.",
    ),
}


def print_comparison(compared: Comparison, console: Console, lang: Lang) -> None:
    """Print what changed, in one language."""

    def words(text: Bilingual) -> str:
        return text.es if lang == "es" else text.en

    table = Table(box=None, padding=(0, 1), header_style="dim")
    for title in (
        "",
        *(f"{words(_TEXTS[key])} {name}" for key, name in zip(("before", "after"), compared.names, strict=True)),
    ):
        table.add_column(title, overflow="fold")
    for name, pair in compared.changed.items():
        table.add_row(Text(name), *(Text("?" if value is None else str(value)) for value in pair))
    rows: dict[str, list[Bilingual]] = {
        "wait": [_or_unknown(None if v.wait_share is None else share(v.wait_share)) for v in compared.verdicts],
        "rate": [_or_unknown(None if v.samples_per_s is None else number(v.samples_per_s)) for v in compared.verdicts],
        "steps": [count(verdict.steps) for verdict in compared.verdicts],
        "verdict": [code_name(_top(verdict)) for verdict in compared.verdicts],
    }
    for key, cells in rows.items():
        table.add_row(words(_TEXTS[key]), *(words(cell) for cell in cells))
    console.print(table)
    if not compared.changed:
        console.print(words(_TEXTS["same settings"]), style="dim")
    rate = compared.rate
    parts = {name: _two_digits(getattr(rate, name) or 0.0) for name in ("ratio", "low", "high")}
    console.print(Text(words(_TEXTS[rate.judgement].format(**parts)), style="bold"))
    if rate.ratio is not None:
        blocks = {"first": count(rate.blocks[0]), "second": count(rate.blocks[1])}
        console.print(Text(words(_TEXTS["test"].format(**blocks)), style="dim"))


def _two_digits(ratio: float) -> Bilingual:
    text = f"{ratio:.2f}"
    return Bilingual(text.replace(".", ","), text)


def _top(verdict: Verdict) -> Code:
    return verdict.top().code


def _or_unknown(text: Bilingual | None) -> Bilingual:
    return Bilingual.same("?") if text is None else text
