"""Figures of a run, made once in Python for the page, a report and a notebook alike.

Each is a `plotly.graph_objects.Figure` with at most `MAX_POINTS` points per trace and only of trace types that need no
`eval` in the browser. `uirevision` is constant, so that a zoom survives new numbers. This is the only module of
loader_core that imports plotly; only the server and reports import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go

from loader_core.diagnose.metrics import measured, quantiles
from loader_core.diagnose.queues import Steps
from loader_core.diagnose.rows import Numbers, Rows, Times
from loader_core.trace.event import NOT_MEASURED
from loader_core.trace.rollup import BUCKET_NS

Lang = Literal["es", "en"]
Theme = Literal["light", "dark"]

MAX_POINTS = 2_000
"""Points of a trace. Of more, the lowest and highest of each stretch are kept."""

THROUGHPUT_BINS = 300
"""Stretches of time that throughput is averaged over, at most."""
BATCHES_PER_BIN = 5
"""Batches that a stretch holds on average, at least: with fewer the rate only shows where the bins lie."""

WAIT_BINS_PER_DECADE = 8
MOST_FINE_DECADES = 4
"""Decades of an axis that have more than one tick each."""
SHORTEST_WAIT_NS = 1_000
"""Shorter waits are drawn as this: below 1 us it is the clock that is seen."""


@dataclass(frozen=True, slots=True)
class _Style:
    """Colours of the page's palette: each passes WCAG 3:1 on its background."""

    text: str
    surface: str
    grid: str
    step: str
    waiting: str
    ready: str
    in_flight: str


_STYLES: dict[Theme, _Style] = {
    "light": _Style("#1a1b1c", "#ffffff", "#dfdfda", "#3d3d3d", "#767676", "#0072b2", "#a66f00"),
    "dark": _Style("#e9e9e7", "#1d1f23", "#2b2e33", "#dddddd", "#999999", "#56b4e9", "#e69f00"),
}

_TEXTS: dict[str, dict[Lang, str]] = {
    "throughput": {"es": "Rendimiento", "en": "Throughput"},
    "samples_per_s": {"es": "muestras por segundo", "en": "samples per second"},
    "batches_per_s": {"es": "lotes por segundo", "en": "batches per second"},
    "waiting": {"es": "tiempo en espera", "en": "time spent waiting"},
    "queue": {"es": "Lotes en cola", "en": "Batches in the queue"},
    "batches": {"es": "lotes", "en": "batches"},
    "ready": {"es": "listos", "en": "ready"},
    "in_flight": {"es": "en curso", "en": "in flight"},
    "waits": {"es": "Esperas por un lote", "en": "Waits for a batch"},
    "wait": {"es": "espera", "en": "wait"},
    "count": {"es": "esperas", "en": "waits"},
    "time": {"es": "tiempo de la ejecución (s)", "en": "run time (s)"},
    "nothing": {"es": "sin medidas", "en": "nothing measured"},
}


def throughput(buckets: Rows, *, lang: Lang = "en", theme: Theme = "light") -> go.Figure:
    """Samples per second (batches, where nobody counted samples) and the share of time spent waiting, over the run.

    `buckets`: `(n,) BUCKET_DTYPE`, bucket i in row i, as `Trace.rollup` gives it.
    """
    style = _STYLES[theme]
    counted = "samples" if measured(buckets, "samples") else "batches"
    starts = np.arange(0, len(buckets), _stride(buckets))
    sums = {name: _sums(buckets[name], starts) for name in (counted, "wait_ns", "step_ns")}
    seconds = np.diff(np.append(starts, len(buckets))) * (BUCKET_NS / 1e9)
    spent = sums["wait_ns"] + sums["step_ns"]
    waiting = np.divide(sums["wait_ns"], spent, out=np.full(len(starts), np.nan), where=spent > 0)
    times, rates = starts * (BUCKET_NS / 1e9), sums[counted] / seconds
    figure = _figure("throughput", lang, style, empty=not len(buckets))
    figure.add_trace(
        go.Bar(
            x=times + seconds / 2,
            y=waiting,
            width=seconds,
            name=_TEXTS["waiting"][lang],
            marker={"color": style.waiting, "opacity": 0.35, "line": {"width": 0}},
            yaxis="y2",
            hovertemplate="%{y:.0%}",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=np.append(times, times[-1:] + seconds[-1:]),
            y=np.append(rates, rates[-1:]),
            name=_TEXTS[f"{counted}_per_s"][lang],
            mode="lines",
            line={"color": style.step, "width": 2, "shape": "hv"},
            hovertemplate="%{y:.3~s}",
        )
    )
    figure.update_layout(
        xaxis={"title": _TEXTS["time"][lang]},
        yaxis={"title": _TEXTS[f"{counted}_per_s"][lang], "rangemode": "tozero"},
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "range": [0, 1],
            "tickmode": "linear",
            "dtick": 0.5,
            "tickformat": ".0%",
            "showgrid": False,
        },
        bargap=0,
    )
    return figure


def queue(ready: Steps, in_flight: Steps, *, lang: Lang = "en", theme: Theme = "light") -> go.Figure:
    """Batches ready for the training loop, and batches in flight, over the run."""
    style = _STYLES[theme]
    figure = _figure("queue", lang, style, empty=not len(ready.times) and not len(in_flight.times))
    for name, steps, colour, dash in (
        ("in_flight", in_flight, style.in_flight, "dot"),
        ("ready", ready, style.ready, "solid"),
    ):
        drawn = decimated(steps)
        figure.add_trace(
            go.Scatter(
                x=drawn.times / 1e9,
                y=drawn.values,
                name=_TEXTS[name][lang],
                mode="lines",
                line={"color": colour, "width": 1.5, "shape": "hv", "dash": dash},
                hovertemplate="%{y:.0f}",
            )
        )
    figure.update_layout(
        xaxis={"title": _TEXTS["time"][lang]}, yaxis={"title": _TEXTS["batches"][lang], "rangemode": "tozero"}
    )
    return figure


def waits(durations: Times, *, lang: Lang = "en", theme: Theme = "light") -> go.Figure:
    """How long the training loop waited for its batches: a histogram on a logarithmic axis, with p50, p95 and p99.

    `durations`: `(n,) int64`, nanoseconds.
    """
    style = _STYLES[theme]
    figure = _figure("waits", lang, style, empty=not len(durations))
    if len(durations):
        edges, counts = _histogram(durations)
        figure.add_trace(
            go.Scatter(
                x=edges / 1e9,
                y=np.append(counts, counts[-1]),
                name=_TEXTS["count"][lang],
                mode="lines",
                fill="tozeroy",
                showlegend=False,
                line={"color": style.ready, "width": 1, "shape": "hv"},
                hovertemplate="%{y} · %{x:.3~s}s",
            )
        )
        names, dashes = ("p50", "p95", "p99"), ("solid", "dash", "dot")
        for name, quantile, dash in zip(names, quantiles(durations), dashes, strict=True):
            at_s = max(quantile or 0, SHORTEST_WAIT_NS) / 1e9
            figure.add_trace(
                go.Scatter(
                    x=[at_s, at_s],
                    y=[0, int(counts.max())],
                    name=f"{name} = {_duration((quantile or 0) / 1e9, lang)}",
                    mode="lines",
                    line={"color": style.text, "width": 1.5, "dash": dash},
                    hoverinfo="name",
                )
            )
    figure.update_layout(
        xaxis={"title": _TEXTS["wait"][lang], "type": "log", **_time_ticks(durations, lang)},
        yaxis={"title": _TEXTS["count"][lang], "rangemode": "tozero"},
    )
    return figure


def decimated(steps: Steps, *, limit: int = MAX_POINTS) -> Steps:
    """`steps`, or of more than `limit` the lowest, highest and last of each of `limit / 4` stretches, in their order.

    The one moment at which the queue was empty is what one looks for, so a mean or every n-th step will not do.
    """
    if len(steps.times) <= limit:
        return steps
    edges = np.linspace(0, len(steps.times), limit // 4 + 1).astype(np.int64)[:-1]
    stretch = np.searchsorted(edges, np.arange(len(steps.times)), "right") - 1
    order = np.lexsort((steps.values, stretch))
    last_of = np.append(edges[1:], len(steps.times)) - 1
    chosen = np.unique(np.concatenate([order[edges], order[last_of], last_of, [0]]))
    return Steps(steps.times[chosen], steps.values[chosen])


def _stride(buckets: Rows) -> int:
    """Buckets per stretch of the throughput."""
    count, batches = len(buckets), int(buckets["batches"].sum())
    for_batches = -(-BATCHES_PER_BIN * count // batches) if batches else count
    return max(1, -(-count // THROUGHPUT_BINS), min(for_batches, count))


def _sums(column: Numbers, starts: Times) -> Numbers:
    return np.add.reduceat(column, starts).astype(np.float64) if len(starts) else np.empty(0)


def _time_ticks(durations: Times, lang: Lang) -> dict[str, Any]:
    """Ticks of a logarithmic axis of durations, each with its unit: 1, 2 and 5 of each decade, or 1 alone."""
    seen = np.maximum(durations[durations != NOT_MEASURED], SHORTEST_WAIT_NS)
    if not len(seen):
        return {}
    first, last = int(np.floor(np.log10(seen.min()))), int(np.floor(np.log10(seen.max())))
    steps = (1, 2, 5) if last - first < MOST_FINE_DECADES else (1,)
    ticks = [step * 10.0**power / 1e9 for power in range(first, last + 2) for step in steps]
    return {"tickvals": ticks, "ticktext": [_duration(tick, lang) for tick in ticks]}


def _histogram(durations: Times) -> tuple[Numbers, Times]:
    """Edges in nanoseconds, evenly apart on a logarithmic axis, and the waits between each two."""
    seen = np.maximum(durations[durations != NOT_MEASURED], SHORTEST_WAIT_NS)
    low = np.floor(np.log10(seen.min()) * WAIT_BINS_PER_DECADE)
    high = np.floor(np.log10(seen.max()) * WAIT_BINS_PER_DECADE) + 1
    bins = np.floor(np.log10(seen) * WAIT_BINS_PER_DECADE) - low
    counts = np.bincount(bins.astype(np.int64), minlength=int(high - low))
    return 10 ** (np.arange(low, high + 1) / WAIT_BINS_PER_DECADE), counts


def _duration(seconds: float, lang: Lang) -> str:
    """A duration of three digits: 1.23 ms."""
    for unit, factor in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= factor or unit == "µs":
            text = f"{seconds / factor:.3g} {unit}"
            return text.replace(".", ",") if lang == "es" else text
    raise AssertionError("unreachable: the last unit takes all")


def _figure(title: str, lang: Lang, style: _Style, *, empty: bool) -> go.Figure:
    axis: dict[str, Any] = {"gridcolor": style.grid, "zerolinecolor": style.grid, "linecolor": style.grid}
    figure = go.Figure(
        layout={
            "title": {"text": _TEXTS[title][lang], "x": 0, "xref": "paper", "font": {"size": 14}},
            "template": "none",
            "font": {"color": style.text, "size": 12},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 56, "r": 48, "t": 56, "b": 44},
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "hoverlabel": {"bgcolor": style.surface, "bordercolor": style.grid, "font": {"color": style.text}},
            "modebar": {"orientation": "v"},
            "hovermode": "x unified" if title != "waits" else "closest",
            "separators": ",." if lang == "es" else ".,",
            "uirevision": "constant",
            "xaxis": axis,
            "yaxis": axis,
        }
    )
    if empty:
        figure.add_annotation(
            text=_TEXTS["nothing"][lang], showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", font={"size": 13}
        )
    return figure
