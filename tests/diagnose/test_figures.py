from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader_core.diagnose import figures
from loader_core.diagnose.queues import NO_STEPS, Steps
from loader_core.diagnose.rows import Rows
from loader_core.trace.rollup import BUCKET_DTYPE

MS = 1_000_000


def buckets_of(count: int) -> Rows:
    """A run of `count` buckets with two batches of 8 in each, a quarter of the time waiting."""
    buckets = np.zeros(count, BUCKET_DTYPE)
    buckets["bucket"] = np.arange(count)
    buckets["batches"], buckets["samples"], buckets["bytes"] = 2, 16, 1_000
    buckets["wait_ns"], buckets["step_ns"] = 25 * MS, 75 * MS
    return buckets


def steps_of(values: Any) -> Steps:
    values = np.asarray(values, np.float64)
    return Steps(np.arange(len(values), dtype=np.int64) * MS, values)


def all_figures(lang: figures.Lang, theme: figures.Theme) -> dict[str, Any]:
    steps = steps_of(np.arange(10_000) % 7)
    durations = np.geomspace(1_000, 10**9, 5_000).astype(np.int64)
    return {
        "throughput": figures.throughput(buckets_of(20_000), lang=lang, theme=theme),
        "queue": figures.queue(steps, steps, lang=lang, theme=theme),
        "waits": figures.waits(durations, lang=lang, theme=theme),
    }


@pytest.mark.parametrize("lang", ["es", "en"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_hold_to_what_the_browser_can_draw(lang: figures.Lang, theme: figures.Theme) -> None:
    for figure in all_figures(lang, theme).values():
        assert figure.layout.uirevision == "constant"
        assert {trace.type for trace in figure.data} <= {"scatter", "bar", "histogram", "heatmap"}
        for trace in figure.data:
            assert 0 < len(trace.x) == len(trace.y) <= figures.MAX_POINTS
        assert json.loads(figure.to_json())["layout"]["title"]["text"]


def test_figures_of_nothing_say_so() -> None:
    nothing = np.empty(0, np.int64)
    for lang, words in (("es", "sin medidas"), ("en", "nothing measured")):
        for figure in (
            figures.throughput(np.empty(0, BUCKET_DTYPE), lang=lang),  # type: ignore[arg-type]
            figures.queue(NO_STEPS, NO_STEPS, lang=lang),  # type: ignore[arg-type]
            figures.waits(nothing, lang=lang),  # type: ignore[arg-type]
        ):
            assert [note.text for note in figure.layout.annotations] == [words]


def test_each_text_is_there_in_both_languages_and_differs() -> None:
    es, en = (
        {name: figure.layout.title.text for name, figure in all_figures(lang, "light").items()} for lang in ("es", "en")
    )
    assert es == {"throughput": "Rendimiento", "queue": "Lotes en cola", "waits": "Esperas por un lote"}
    assert not set(es.values()) & set(en.values())
    assert all_figures("es", "light")["waits"].layout.separators == ",."


def test_themes_differ_in_colours_alone() -> None:
    for name in ("throughput", "queue", "waits"):
        light, dark = (all_figures("en", theme)[name].to_json() for theme in ("light", "dark"))
        assert light != dark
        without_colours = [re.sub(r"#[0-9a-f]{6}", "", text) for text in (light, dark)]
        assert without_colours[0] == without_colours[1]


def test_throughput_is_the_rate_and_the_share_of_waiting() -> None:
    waiting, rate = figures.throughput(buckets_of(1_000)).data
    assert rate.name == "samples per second"
    assert np.allclose(rate.y, 160)
    assert np.allclose(waiting.y, 0.25)


def test_throughput_counts_batches_where_nobody_counted_samples() -> None:
    buckets = buckets_of(100)
    buckets["samples"] = 0
    _, rate = figures.throughput(buckets).data
    assert rate.name == "batches per second"
    assert np.allclose(rate.y, 20)


def test_throughput_of_a_slow_run_averages_over_several_batches() -> None:
    buckets = buckets_of(1_000)
    buckets["batches"] = np.arange(1_000) % 10 == 0  # one per second
    buckets["samples"] = 16 * buckets["batches"]
    _, rate = figures.throughput(buckets).data
    assert np.allclose(rate.y, 16)
    assert len(rate.x) == 100 / figures.BATCHES_PER_BIN + 1  # the last step is drawn to its end
    assert rate.x[-1] == 100


def test_a_stretch_in_which_the_loop_neither_waited_nor_worked_has_no_share() -> None:
    buckets = buckets_of(10)
    buckets["wait_ns"] = buckets["step_ns"] = 0
    waiting, _ = figures.throughput(buckets).data
    assert np.isnan(waiting.y).all()


def test_waits_name_their_quantiles_in_the_reader_s_notation() -> None:
    durations = np.array([1_500_000] * 98 + [2_000_000_000] * 2)
    names = [trace.name for trace in figures.waits(durations, lang="es").data]
    assert names == ["esperas", "p50 = 1,5 ms", "p95 = 1,5 ms", "p99 = 2 s"]
    assert figures.waits(np.array([0])).data[1].name == "p50 = 0 µs"


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=200))
def test_every_wait_is_in_the_histogram(waits: list[int]) -> None:
    histogram = figures.waits(np.array(waits)).data[0]
    assert histogram.y[:-1].sum() == len(waits)
    assert histogram.x[0] * 1e9 <= max(min(waits), figures.SHORTEST_WAIT_NS) * 1.0001
    assert histogram.x[-1] * 1e9 >= max(max(waits), figures.SHORTEST_WAIT_NS) * 0.9999


@given(st.lists(st.integers(0, 100), max_size=400), st.integers(8, 60))
def test_decimation_keeps_lowest_highest_first_and_last_and_the_order(values: list[int], limit: int) -> None:
    steps = steps_of(values)
    found = figures.decimated(steps, limit=limit)
    assert len(found.times) <= max(limit, 0) or len(values) <= limit
    assert (np.diff(found.times) > 0).all()
    assert set(zip(*found, strict=True)) <= set(zip(*steps, strict=True))
    if values:
        assert (found.values.min(), found.values.max()) == (min(values), max(values))
        assert (found.times[0], found.times[-1]) == (steps.times[0], steps.times[-1])
    if len(values) <= limit:
        assert found is steps


def test_nobody_pays_for_plotly_who_only_measures() -> None:
    code = "import sys, loader_core.diagnose.metrics; print(sorted(m for m in sys.modules if m in ('plotly', 'torch')))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
