"""The timeline around a wait, as SVG that stands in the report."""

from __future__ import annotations

from html import escape

import numpy as np

from app.reports.words import TEXTS
from app.summary import Lang
from loader_core.diagnose.bilingual import Bilingual, duration
from loader_core.diagnose.excerpt import Excerpt
from loader_core.diagnose.grounds import Grounds
from loader_core.diagnose.rows import Rows
from loader_core.trace.event import KINDS, NO_BATCH, Kind, Nature, Role
from loader_core.trace.trace import TraceLane

WIDTH, LEFT = 960, 130
ROW, GAP = 20, 6
MOST_SPANS = 3_000
MOST_LANES = 20
LEGEND_STEP = 120

_DRAWN = tuple(
    kind for kind, spec in KINDS.items() if spec.nature in (Nature.WORK, Nature.WAIT) and kind is not Kind.WAIT_TASK
)
_ORDER = {Role.CONSUMER: 0, Role.MAIN: 1, Role.PIN: 2, Role.DEVICE: 3, Role.WORKER: 4, Role.ANY: 5}

_ROLES = {
    Role.CONSUMER: Bilingual("bucle", "training loop"),
    Role.MAIN: Bilingual("principal", "main"),
    Role.PIN: Bilingual("fijado de memoria", "pinning"),
    Role.DEVICE: Bilingual("dispositivo", "device"),
}
_PAINTS = {
    "waiting": Bilingual("espera", "waiting"),
    "step": Bilingual("paso", "step"),
    "read": Bilingual("leer", "fetch"),
    "collate": Bilingual("juntar", "collate"),
    "transfer": Bilingual("enviar, copiar", "send, copy"),
    "main": Bilingual("muestreador", "sampler"),
    "blocked": Bilingual("en cola", "held"),
}


def timeline(grounds: Grounds, lang: Lang) -> str:
    """The lanes around the longest wait that counts; "" where nothing was waited for."""
    waits = grounds.steady_waits if len(grounds.steady_waits) else grounds.waits
    waits = waits[waits["batch"] != NO_BATCH]
    if not len(waits):
        return ""
    longest = waits[np.argmax(waits["end"] - waits["start"])]
    length = int(longest["end"] - longest["start"])
    around = max(2 * length, 4 * int(grounds.step_median_ns), 2_000_000)
    begin = max(grounds.excerpt.start_ns, int(longest["start"]) - around)
    end = min(grounds.end_ns, int(longest["end"]) + around)
    rows = grounds.excerpt.rows
    rows = rows[np.isin(rows["kind"], _DRAWN) & (rows["end"] > begin) & (rows["start"] < end)]
    rows = rows[np.argsort(rows["start"] - rows["end"], kind="stable")][:MOST_SPANS]  # the longest ones
    return _lanes(grounds.excerpt, rows, begin, max(end, begin + 1), lang)


def _lanes(excerpt: Excerpt, rows: Rows, begin: int, end: int, lang: Lang) -> str:
    there = set(np.unique(rows["lane"]).tolist())
    lanes = sorted(
        (lane for lane in excerpt.lanes if lane.lane in there),
        key=lambda lane: (lane.rank, _ORDER[lane.role], lane.worker),
    )[:MOST_LANES]
    scale = (WIDTH - LEFT) / (end - begin)
    parts = []
    for place, lane in enumerate(lanes):
        top = place * (ROW + GAP)
        parts.append(f'<text x="0" y="{top + ROW - 6}">{escape(_label(lane, lang))}</text>')
        parts.append(f'<rect class="lane" x="{LEFT}" y="{top}" width="{WIDTH - LEFT}" height="{ROW}"/>')
        own = rows[rows["lane"] == lane.lane]
        parts += [_span(row, begin, end, scale, top, lang) for row in own[np.argsort(own["start"], kind="stable")]]
    bottom = len(lanes) * (ROW + GAP)
    parts.append(f'<text x="{LEFT}" y="{bottom + 14}">0</text>')
    parts.append(f'<text x="{WIDTH}" y="{bottom + 14}" text-anchor="end">{_in(duration(end - begin), lang)}</text>')
    used = {KINDS[Kind(kind)].paint for kind in np.unique(rows["kind"]).tolist()}
    for place, paint in enumerate(paint for paint in _PAINTS if paint in used):
        left = LEFT + place * LEGEND_STEP
        parts.append(f'<rect class="{paint}" x="{left}" y="{bottom + 26}" width="12" height="12"/>')
        parts.append(f'<text x="{left + 18}" y="{bottom + 36}">{_in(_PAINTS[paint], lang)}</text>')
    size, name = f"0 0 {WIDTH} {bottom + 42}", _in(TEXTS["timeline"], lang)
    return f'<svg class="lanes" viewBox="{size}" role="img" aria-label="{name}">{"".join(parts)}</svg>'


def _label(lane: TraceLane, lang: Lang) -> str:
    name = _ROLES.get(lane.role)
    return lane.label if name is None else _in(name, lang) + (f" · {lane.rank}" if lane.rank else "")


def _in(text: Bilingual, lang: Lang) -> str:
    return text.es if lang == "es" else text.en


def _span(row: np.void, begin: int, end: int, scale: float, top: int, lang: Lang) -> str:
    kind = Kind(int(row["kind"]))
    first, last = max(int(row["start"]), begin), min(int(row["end"]), end)
    x, width = LEFT + (first - begin) * scale, max(0.5, (last - first) * scale)
    took = _in(duration(int(row["end"] - row["start"])), lang)
    batch = "" if row["batch"] == NO_BATCH else f" {int(row['batch'])}"
    title = f"{kind.name}{batch}: {took}"
    paint = KINDS[kind].paint
    return (
        f'<rect class="{paint}" x="{x:.2f}" y="{top}" width="{width:.2f}" height="{ROW}"><title>{title}</title></rect>'
    )
