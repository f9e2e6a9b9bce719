"""The verdict on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.reports.words import CONFIDENCE, TEXTS, amount, changed_line, code_name, predicted
from app.summary import Lang
from loader_core.diagnose.bilingual import NOTHING, Bilingual, duration, number, share
from loader_core.diagnose.verdict_types import Code, Finding, Verdict

_STYLES = {Code.LOADER_OK: "bold green", Code.UNDETERMINED: "bold yellow"}
_DANGERS = (Code.HANG, Code.MEMORY_GROWTH, Code.SHM_OR_FD_RISK)


def print_verdict(verdict: Verdict, console: Console, lang: Lang) -> None:
    """Print the whole verdict: the top finding with all that belongs to it, the others shorter."""
    _Printer(console, lang).all(verdict)


def print_in_short(verdict: Verdict, finding: Finding, console: Console, lang: Lang) -> None:
    """A finding's sentence, and the line to change: the end of a summary."""
    _Printer(console, lang).short(verdict, finding)


class _Printer:
    def __init__(self, console: Console, lang: Lang) -> None:
        self._console = console
        self._lang = lang

    def short(self, verdict: Verdict, finding: Finding) -> None:
        self._head(finding)
        if finding.confidence == "low" and finding.code is not Code.UNDETERMINED:
            about = TEXTS["confidence"].format(confidence=CONFIDENCE[finding.confidence])
            self._say(Bilingual.same("  ") + about, style="dim")
        if finding.code is Code.LOADER_OK:
            return
        line = changed_line(finding)
        gain = predicted(finding.predicted, verdict.samples_per_s)
        advice = finding.advice if line is None else Bilingual.same(line)
        tail = NOTHING if gain is None else Bilingual.same("  ") + gain
        self._say(Bilingual.same("→ ") + advice + tail, style="" if line is None else "bold")

    def all(self, verdict: Verdict) -> None:
        for number_, finding in enumerate(verdict.findings):
            if number_:
                self._console.print()
            self._head(finding)
            self._finding(verdict, finding, whole=number_ == 0)
        self._console.print()
        seen = {
            "steps": str(verdict.steps),
            "wait": Bilingual.same("?") if verdict.wait_share is None else share(verdict.wait_share),
            "waited": duration(verdict.wait_ns),
            "rate": Bilingual.same("?") if verdict.samples_per_s is None else number(verdict.samples_per_s),
        }
        self._say(TEXTS["seen"].format(**seen), style="dim")

    def _head(self, finding: Finding) -> None:
        style = _STYLES.get(finding.code, "bold red" if finding.code in _DANGERS else "bold magenta")
        self._console.print(
            Text.assemble((f"{self._in(code_name(finding.code))}: ", style), self._in(finding.sentence))
        )

    def _finding(self, verdict: Verdict, finding: Finding, *, whole: bool) -> None:
        self._say(Bilingual.same("→ ") + finding.advice, style="bold" if whole else "")
        line = changed_line(finding)
        if line is not None:
            self._say(Bilingual.same(f"  {line}"))
        gain = predicted(finding.predicted, verdict.samples_per_s)
        if gain is not None:
            self._say(Bilingual.same("  ") + gain)
        if finding.place:
            self._say(Bilingual.same("  ") + TEXTS["place"].format(place=finding.place))
        if not whole:
            return
        about = TEXTS["confidence"].format(confidence=CONFIDENCE[finding.confidence])
        self._say(Bilingual.same("  ") + about, style="dim")
        table = Table(box=None, padding=(0, 1), show_header=False)
        for evidence in finding.evidence:
            table.add_row(
                self._in(evidence.name), self._in(amount(evidence)), Text(" + ".join(evidence.kinds), style="dim")
            )
        self._console.print(Padding(table, (0, 1)))
        self._say(Bilingual.same("  ") + TEXTS["refuted"].format(how=finding.refuted_by))
        self._say(Bilingual.same("  ") + TEXTS["experiment"].format(how=finding.experiment))

    def _in(self, text: Bilingual) -> str:
        return text.es if self._lang == "es" else text.en

    def _say(self, text: Bilingual, *, style: str = "") -> None:
        self._console.print(Text(self._in(text), style=style))
