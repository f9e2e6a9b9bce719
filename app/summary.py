"""What a run tells, on a terminal: its budget, worst stalls and their causes, slowest samples, memory and findings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.diagnosis import limits_of
from app.reading import on_this_host
from loader_core.diagnose.bilingual import Bilingual, count, duration, share, size
from loader_core.diagnose.budget import PartKind, StepBudget
from loader_core.diagnose.diagnosis import Diagnosis, examine
from loader_core.diagnose.facts import Facts, Headroom
from loader_core.diagnose.findings import LintFinding, LintLevel
from loader_core.diagnose.headroom import headroom_sentence
from loader_core.diagnose.journeys import PhaseName
from loader_core.diagnose.memory import Trend
from loader_core.diagnose.places import Places
from loader_core.diagnose.samples import SampleTimes, StageShare
from loader_core.diagnose.stored import read_excerpt
from loader_core.trace.facts import read_facts
from loader_core.trace.trace import Trace

Lang = Literal["es", "en"]

SHOWN = 8
"""Rows of each list that are shown."""
SHOWN_BRIEFLY = 3
"""The same in the short form."""

MIN_PHASE_SHARE = 0.005
"""Of all waiting: a phase of less is not worth a word."""

BAR_CELLS = 24
"""Width of the bar that shows a share."""

_LEVELS: dict[LintLevel, tuple[str, Bilingual]] = {
    "error": ("bold red", Bilingual("Error", "Error")),
    "warning": ("yellow", Bilingual("Aviso", "Warning")),
    "note": ("cyan", Bilingual("Nota", "Note")),
}

_PARTS: dict[PartKind, Bilingual] = {
    "wait": Bilingual("espera", "wait"),
    "rest": Bilingual("resto del paso", "rest of the step"),
    "observer": Bilingual("miniaturas", "previews"),
    "device": Bilingual("copia al dispositivo (su reloj)", "copy to the device (its clock)"),
}

_PHASES: dict[PhaseName, Bilingual] = {
    "draw": Bilingual("sin repartir", "not dispatched"),
    "queue": Bilingual("su worker hacía otro", "its worker made another"),
    "fetch": Bilingual("leyendo", "reading"),
    "collate": Bilingual("componiendo", "collating"),
    "send": Bilingual("enviando", "sending"),
    "receive": Bilingual("recibiendo", "receiving"),
    "pin": Bilingual("fijando memoria", "pinning"),
    "copy": Bilingual("copiando", "copying"),
    "end": Bilingual("ninguno: la época acabó, o falló", "none: the epoch ended, or failed"),
    "other": Bilingual("sin registrar", "not recorded"),
}

_TEXTS = {
    "budget": Bilingual("A dónde va un paso", "Where a step goes"),
    "per step": Bilingual("mediana por paso", "median per step"),
    "share": Bilingual("parte", "share"),
    "part": Bilingual("", ""),
    "total": Bilingual("total", "total"),
    "waiting": Bilingual("Durante la espera el lote estaba: ", "While the loop waited the batch was: "),
    "order": Bilingual(
        "Durante {hol} el bucle esperó aunque ya había listo un lote posterior; in_order=False ahorraría como mucho "
        "{gain}.",
        "For {hol} the loop waited though a later batch was ready; in_order=False would save at most {gain}.",
    ),
    "in step": Bilingual(
        "Las esperas llegan al ritmo de los {lag} workers (autocorrelación {r}): son pocos, o lentos.",
        "Waits come in the rhythm of the {lag} workers (autocorrelation {r}): they are too few, or too slow.",
    ),
    "stalls": Bilingual("{count} parones de más de {threshold}: {total}", "{count} stalls above {threshold}: {total}"),
    "no stalls": Bilingual("Ningún parón de más de {threshold}.", "No stall above {threshold}."),
    "samples": Bilingual("Muestras más lentas", "Slowest samples"),
    "sample": Bilingual("muestra", "sample"),
    "seen": Bilingual("veces", "times"),
    "median": Bilingual("mediana", "median"),
    "worst": Bilingual("peor", "worst"),
    "stages": Bilingual("etapas de la peor", "stages of the worst"),
    "parts": Bilingual("Etapas de la lectura", "Stages of reading"),
    "stage": Bilingual("etapa", "stage"),
    "of fetch": Bilingual("de FETCH", "of FETCH"),
    "p95": Bilingual("p95", "p95"),
    "places": Bilingual("Líneas que ocupan FETCH ({seen} miradas)", "Lines that hold FETCH ({seen} looks)"),
    "place": Bilingual("línea", "line"),
    "source": Bilingual("código", "source"),
    "memory": Bilingual("Memoria y descriptores", "Memory and descriptors"),
    "process": Bilingual("proceso", "process"),
    "now": Bilingual("ahora", "now"),
    "highest": Bilingual("máximo", "highest"),
    "per second": Bilingual("por segundo", "per second"),
    "findings": Bilingual("Corrección", "Correctness"),
    "no findings": Bilingual("Nada que objetar a lo que se vio.", "Nothing to object to in what was seen."),
    "seen by": Bilingual("Visto {how}.", "Seen {how}."),
    "missing": Bilingual("No se midió", "Not measured"),
    "shortened": Bilingual(
        "La ejecución es larga: se diagnostica desde {at}.", "The run is long: it is diagnosed from {at} on."
    ),
}


def system_lang(environ: Mapping[str, str] = os.environ) -> Lang:
    """The language of the terminal's locale: Spanish where it says so, else English."""
    locale = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return "es" if locale.lower().startswith("es") else "en"


def diagnose_run(directory: Path) -> Diagnosis:
    """The diagnosis of a whole recording, or of a run as far as it is. Raises TraceError."""
    trace = Trace.open(directory)
    facts = Facts.of(read_facts(directory))
    return examine(read_excerpt(trace, 0), facts, limits_of(facts, here=trace.run.live and on_this_host(trace)))


def print_summary(directory: Path, console: Console, *, lang: Lang | None = None, brief: bool = False) -> None:
    """Print what the run in `directory` tells; `brief`: its budget, worst stalls and findings only.

    In the language of the terminal's locale if no other is asked for. Raises TraceError.
    """
    _Printer(console, lang or system_lang(), SHOWN_BRIEFLY if brief else SHOWN).all(diagnose_run(directory), brief)


class _Printer:
    """Prints a diagnosis in one language."""

    def __init__(self, console: Console, lang: Lang, shown: int) -> None:
        self._console = console
        self._lang = lang
        self._shown = shown

    def all(self, diagnosis: Diagnosis, brief: bool) -> None:
        if diagnosis.shortened:
            self._say(_TEXTS["shortened"].format(at=duration(diagnosis.start_ns)), style="dim")
        if diagnosis.budget is not None:
            self._budget(diagnosis.budget, diagnosis.headroom)
        self._stalls(diagnosis)
        if not brief:
            if diagnosis.samples is not None and diagnosis.samples.slowest:
                self._samples(diagnosis.samples)
            if diagnosis.stages:
                self._stages(diagnosis.stages)
            if diagnosis.places is not None:
                self._places(diagnosis.places)
            self._memory(diagnosis)
        self._findings(diagnosis.findings)
        if not brief and diagnosis.not_measured:
            self._title(_TEXTS["missing"])
            for missing in diagnosis.not_measured:
                self._say(missing.why, style="dim")

    # --- parts --------------------------------------------------------------------------------------------------------

    def _budget(self, budget: StepBudget, headroom: Headroom | None) -> None:
        self._title(_TEXTS["budget"])
        table = self._table("part", "share", "", "per step", "p95", "total", left=(0, 2))
        for part in [*budget.parts, *budget.device]:
            name = _PARTS.get(part.kind, Bilingual.same(part.name))
            table.add_row(
                self._in(name),
                self._in(share(part.share)),
                "█" * round(BAR_CELLS * min(1.0, part.share)),
                *(self._in(duration(ns)) for ns in (part.median_ns, part.p95_ns, part.total_ns)),
            )
        self._console.print(table)
        if budget.waiting:
            phases = [
                f"{self._in(_PHASES[phase.name])} {self._in(share(phase.share))}"
                for phase in budget.waiting
                if phase.share >= MIN_PHASE_SHARE
            ]
            self._console.print(Text(self._in(_TEXTS["waiting"]) + ", ".join(phases[: self._shown])))
        order, rhythm = budget.head_of_line, budget.periodicity
        if headroom is not None:
            self._say(headroom_sentence(headroom))
        if order is not None and order.gain_ns >= MIN_PHASE_SHARE * sum(phase.total_ns for phase in budget.waiting):
            self._say(_TEXTS["order"].format(hol=duration(order.hol_ns), gain=duration(order.gain_ns)))
        if rhythm is not None and rhythm.in_step:
            self._say(_TEXTS["in step"].format(lag=rhythm.lag, r=f"{rhythm.autocorrelation:.2f}"))

    def _stalls(self, diagnosis: Diagnosis) -> None:
        if diagnosis.stall_threshold_ns is None:
            return
        threshold = duration(diagnosis.stall_threshold_ns)
        if not diagnosis.stalls:
            self._say(_TEXTS["no stalls"].format(threshold=threshold))
            return
        number, total = count(diagnosis.stall_count), duration(diagnosis.stall_ns)
        self._title(_TEXTS["stalls"].format(count=number, threshold=threshold, total=total))
        for stall in diagnosis.stalls[: self._shown]:
            self._say(Bilingual.same("· ") + stall.sentence)

    def _samples(self, samples: SampleTimes) -> None:
        self._title(_TEXTS["samples"])
        table = self._table("sample", "seen", "median", "worst", "stages", left=(4,))
        for slow in samples.slowest[: self._shown]:
            stages = ", ".join(f"{stage.name} {self._in(duration(stage.ns))}" for stage in slow.stages)
            table.add_row(
                *(self._in(text) for text in (count(slow.sample), count(slow.count))),
                *(self._in(duration(ns)) for ns in (slow.median_ns, slow.worst_ns)),
                Text(stages),
            )
        self._console.print(table)

    def _stages(self, stages: list[StageShare]) -> None:
        self._title(_TEXTS["parts"])
        table = self._table("stage", "of fetch", "median", "p95", "total", left=(0,))
        for stage in stages[: self._shown]:
            times = (self._in(duration(ns)) for ns in (stage.median_ns, stage.p95_ns, stage.total_ns))
            table.add_row(Text(stage.name), self._in(share(stage.share)), *times)
        self._console.print(table)

    def _places(self, places: Places) -> None:
        self._title(_TEXTS["places"].format(seen=count(places.seen)))
        table = self._table("of fetch", "±", "place", "source", left=(2, 3))
        for place in places.places[: self._shown]:
            table.add_row(
                self._in(share(place.share)),
                self._in(share((place.high - place.low) / 2)),
                Text(f"{place.place} {place.function}"),
                Text(place.source),
            )
        self._console.print(table)

    def _memory(self, diagnosis: Diagnosis) -> None:
        use = diagnosis.memory
        if not use.memory and not use.files and use.shared is None:
            return
        self._title(_TEXTS["memory"])
        if use.memory:
            table = self._table("process", "now", "highest", "per second", left=(0,))
            for trend in sorted(use.memory, key=lambda trend: -trend.latest)[: self._shown]:
                table.add_row(
                    Text(trend.label), self._in(size(trend.latest)), self._in(size(trend.highest)), self._rate(trend)
                )
            self._console.print(table)
        for forecast in (use.memory_forecast, use.files_forecast, use.shared):
            if forecast is not None:
                self._say(forecast.sentence)

    def _rate(self, trend: Trend) -> str:
        if trend.per_s is None or trend.trend == "steady":
            return "" if trend.per_s is None else "0"
        return ("+" if trend.per_s > 0 else "") + self._in(size(trend.per_s))

    def _findings(self, findings: list[LintFinding]) -> None:
        self._title(_TEXTS["findings"])
        if not findings:
            self._say(_TEXTS["no findings"], style="dim")
        for finding in findings:
            style, level = _LEVELS[finding.level]
            line = Text.assemble((f"{self._in(level)} {finding.code}: ", style), self._in(finding.sentence))
            self._console.print(line)
            self._say(Bilingual.same("  ") + finding.advice)
            self._say(Bilingual.same("  ") + _TEXTS["seen by"].format(how=finding.seen), style="dim")

    # --- ways of printing ---------------------------------------------------------------------------------------------

    def _in(self, text: Bilingual) -> str:
        return text.es if self._lang == "es" else text.en

    def _say(self, text: Bilingual, *, style: str = "") -> None:
        self._console.print(Text(self._in(text), style=style))

    def _title(self, text: Bilingual) -> None:
        self._console.print()
        self._console.print(Text(self._in(text), style="bold"))

    def _table(self, *columns: str, left: tuple[int, ...]) -> Table:
        table = Table(box=None, padding=(0, 1), header_style="dim")
        for number, column in enumerate(columns):
            title = self._in(_TEXTS[column]) if column in _TEXTS else column
            table.add_column(title, justify="left" if number in left else "right")
        return table
