"""The verdict as one page that opens offline: nothing in it comes from anywhere else."""

from __future__ import annotations

from html import escape
from pathlib import Path

from app.reports.figures import figures
from app.reports.picture import timeline
from app.reports.words import CONFIDENCE, TEXTS, amount, bad_end, changed_line, code_name, predicted
from app.summary import Lang
from loader_core.diagnose.bilingual import Bilingual, count, duration, number, share
from loader_core.diagnose.budget import PartKind, step_budget
from loader_core.diagnose.grounds import Grounds
from loader_core.diagnose.samples import sample_times
from loader_core.diagnose.stalls import find_stalls
from loader_core.diagnose.verdict import grounds_of_run
from loader_core.diagnose.verdict_types import Evidence, Finding, Verdict
from loader_core.trace.run_file import RunHeader, read_run_file

SHOWN = 10
"""Rows of each list."""

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2330; --soft: #5d6675; --line: #d9dde5; --card: #f6f7f9;
  --accent: #a02878; --work: #2f7dd1; --read: #2f7dd1; --decode: #6a55c9; --collate: #158a7c; --transfer: #b0731a;
  --wait: #d1453b; --step: #3c9a4b; --blocked: #9aa3b2; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181f; --ink: #e6e9ef; --soft: #9aa3b2; --line: #333a46;
  --card: #1c222b; --accent: #e58ac6; --read: #5aa2ee; --collate: #3bb5a5; --transfer: #d99a40; --wait: #f0756c;
  --step: #62bd70; --blocked: #6b7484; } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 62rem; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.1rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
.run, .soft, th { color: var(--soft); font-size: .9rem; font-weight: normal; }
article { background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--accent);
  border-radius: 6px; margin: 1rem 0; padding: 1rem 1.2rem; }
article h2 { margin: 0 0 .3rem; font-size: 1.35rem; } h3 { font-size: 1rem; margin: 1rem 0 .2rem; }
.bad { border-left: 4px solid var(--wait); overflow-wrap: anywhere; padding: .4rem .8rem; }
p { margin: .4rem 0; } code, pre { font: .95em ui-monospace, monospace; }
pre { background: var(--paper); border: 1px solid var(--line); border-radius: 4px; overflow-x: auto;
  padding: .5rem .7rem; white-space: pre-wrap; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .92rem; width: 100%; }
td, th { border-bottom: 1px solid var(--line); padding: .25rem .8rem .25rem 0; text-align: left; vertical-align: top; }
td.n, th.n { text-align: right; white-space: nowrap; } .bar { background: var(--line); height: .7rem; width: 10rem; }
.bar i { background: var(--read); display: block; height: 100%; } .bar i.wait { background: var(--wait); }
.lanes { display: block; height: auto; min-width: 40rem; width: 100%; }
.lanes text { fill: var(--soft); font-size: 12px; }
.lanes .lane { fill: var(--card); } .lanes .read { fill: var(--read); } .lanes .collate { fill: var(--collate); }
.lanes .transfer { fill: var(--transfer); } .lanes .waiting { fill: var(--wait); } .lanes .step { fill: var(--step); }
.lanes .main { fill: var(--decode); }
.lanes .blocked, .lanes .mark, .lanes .observer, .lanes .stage { fill: var(--blocked); }
.figure { height: 20rem; margin-bottom: 1rem; }
"""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"
"""Only what stands in the page; a picture that the browser makes of a figure is a blob."""

_PARTS: dict[PartKind, Bilingual] = {
    "wait": Bilingual("espera", "waiting"),
    "rest": Bilingual("resto del paso", "rest of the step"),
    "observer": Bilingual("miniaturas", "previews"),
    "device": Bilingual("copia al dispositivo", "copy to the device"),
}

_HEADS = {
    "sample": Bilingual("muestra", "sample"),
    "times": Bilingual("veces", "times"),
    "median": Bilingual("mediana", "median"),
    "worst": Bilingual("peor", "worst"),
    "stages": Bilingual("etapas de la peor", "stages of the worst"),
}


def page(directory: Path, verdict: Verdict, lang: Lang) -> str:
    """The whole page. Raises TraceError."""
    grounds = grounds_of_run(directory)
    run = read_run_file(directory)
    writer = _Writer(lang)
    top, *others = verdict.findings
    body = [
        f'<p class="run"><b>Loaderscope</b> · {escape(run.name or directory.name)} · {escape(directory.name)}</p>',
        f"<main>{writer.end(run)}{writer.card(verdict, top)}",
        f'<p class="soft">{writer.seen(verdict)}</p>',
        writer.section("timeline", _scrolled(timeline(grounds, lang))),
        writer.section("budget", writer.budget(grounds)),
        writer.section("figures", figures(directory, lang)),
        writer.section("others", "".join(writer.card(verdict, finding) for finding in others)) if others else "",
        writer.section("slowest", writer.samples(grounds)),
        writer.section("stalls", writer.stalls(grounds)),
        "</main>",
    ]
    title = writer.text(code_name(top.code))
    return (
        f'<!doctype html>\n<html lang="{lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{title} · {escape(directory.name)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


class _Writer:
    """Writes parts of the page in one language. All that is text is escaped here."""

    def __init__(self, lang: Lang) -> None:
        self._lang = lang

    def text(self, text: Bilingual) -> str:
        return escape(text.es if self._lang == "es" else text.en)

    def end(self, run: RunHeader) -> str:
        ended = bad_end(run)
        return "" if ended is None else f'<p class="bad">{self.text(ended)}</p>'

    def section(self, title: str, inside: str) -> str:
        return f"<section><h2>{self.text(TEXTS[title])}</h2>{inside}</section>" if inside else ""

    def seen(self, verdict: Verdict) -> str:
        unknown = Bilingual.same("?")
        return self.text(
            TEXTS["seen"].format(
                steps=count(verdict.steps),
                wait=unknown if verdict.wait_share is None else share(verdict.wait_share),
                waited=duration(verdict.wait_ns),
                rate=unknown if verdict.samples_per_s is None else number(verdict.samples_per_s),
            )
        )

    def card(self, verdict: Verdict, finding: Finding) -> str:
        parts = [f"<h2>{self.text(code_name(finding.code))}</h2>", f"<p>{self.text(finding.sentence)}</p>"]
        about = [self.text(TEXTS["confidence"].format(confidence=CONFIDENCE[finding.confidence]))]
        if finding.share is not None:
            about.append(self.text(TEXTS["share"].format(share=share(finding.share))))
        if finding.place:
            about.append(self.text(TEXTS["place"].format(place=finding.place)))
        parts.append(f'<p class="soft">{" · ".join(about)} · <code>{finding.code.name}</code></p>')
        parts.append(f"<h3>{self.text(TEXTS['advice'])}</h3><p>{self.text(finding.advice)}</p>")
        line = changed_line(finding)
        if line is not None:
            parts.append(f"<pre>{escape(line)}</pre>")
        gain = predicted(finding.predicted, verdict.samples_per_s)
        if gain is not None:
            parts.append(f"<p>{self.text(gain)}</p>")
        rows = "".join(self._evidence(evidence) for evidence in finding.evidence)
        parts.append(f"<h3>{self.text(TEXTS['evidence'])}</h3>{_scrolled(f'<table>{rows}</table>')}")
        parts.append(f"<p>{self.text(TEXTS['refuted'].format(how=finding.refuted_by))}</p>")
        parts.append(f"<p>{self.text(TEXTS['experiment'].format(how=finding.experiment))}</p>")
        return f"<article>{''.join(parts)}</article>"

    def _evidence(self, evidence: Evidence) -> str:
        query = f"{' + '.join(evidence.kinds)}, {evidence.start_ns / 1e9:.3f}–{evidence.end_ns / 1e9:.3f} s"
        if evidence.lanes:
            query += f", {', '.join(str(lane) for lane in evidence.lanes)}"
        return (
            f'<tr><td>{self.text(evidence.name)}</td><td class="n">{self.text(amount(evidence))}</td>'
            f'<td class="soft"><code>{escape(query)}</code></td></tr>'
        )

    def budget(self, grounds: Grounds) -> str:
        budget = step_budget(grounds.excerpt)
        if budget is None:
            return ""
        rows = [
            f"<tr><td>{self.text(_PARTS.get(part.kind, Bilingual.same(part.name)))}</td>"
            f'<td class="n">{self.text(share(part.share))}</td><td><div class="bar">'
            f'<i class="{part.kind}" style="width:{100 * min(1.0, part.share):.1f}%"></i>'
            f'</div></td><td class="n">{self.text(duration(part.total_ns))}</td></tr>'
            for part in budget.parts
        ]
        return _scrolled(f"<table>{''.join(rows)}</table>")

    def samples(self, grounds: Grounds) -> str:
        times = sample_times(grounds.excerpt)
        if times is None or not times.slowest:
            return ""
        heads = "".join(
            f'<th class="{"" if name == "stages" else "n"}">{self.text(head)}</th>' for name, head in _HEADS.items()
        )
        rows = []
        for slow in times.slowest[:SHOWN]:
            numbers = (count(slow.sample), count(slow.count), duration(slow.median_ns), duration(slow.worst_ns))
            stages = ", ".join(f"{escape(stage.name)} {self.text(duration(stage.ns))}" for stage in slow.stages)
            cells = "".join(f'<td class="n">{self.text(cell)}</td>' for cell in numbers)
            rows.append(f"<tr>{cells}<td>{stages}</td></tr>")
        return _scrolled(f"<table><tr>{heads}</tr>{''.join(rows)}</table>")

    def stalls(self, grounds: Grounds) -> str:
        found = find_stalls(grounds.excerpt).longest[:SHOWN]
        return "".join(f"<p>{self.text(stall.sentence)}</p>" for stall in found)


def _scrolled(inside: str) -> str:
    """What may be wider than the page, to be scrolled by keyboard too; "" of nothing."""
    return f'<div class="scroll" tabindex="0">{inside}</div>' if inside else ""
