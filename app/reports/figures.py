"""The figures of a report: those of the page, drawn by the plotly.js that stands in the report itself."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from app.figures import figures_json, seen_of
from app.summary import Lang
from loader_core.trace.trace import Trace

NAMES = ("throughput", "queue", "waits")

_DRAW = """
const dark = matchMedia("(prefers-color-scheme: dark)");
function draw() {
  const figures = FIGURES[dark.matches ? "dark" : "light"];
  for (const box of document.querySelectorAll("[data-figure]")) {
    const { data, layout: { title, ...layout } } = figures[box.dataset.figure];
    box.previousElementSibling.textContent = title.text;  // in the figure, a legend of two lines would cover it
    Plotly.react(box, data, layout, { displaylogo: false, showSendToCloud: false, responsive: true });
  }
}
dark.addEventListener("change", draw);
draw();
"""

_NO_SCRIPT = {
    "es": "Las figuras las dibuja un programa que va en esta página: para verlas, permite JavaScript.",
    "en": "The figures are drawn by a program that stands in this page: allow JavaScript to see them.",
}


def figures(directory: Path, lang: Lang) -> str:
    """Throughput, queue and waits as HTML, with all that draws them (4.8 MB). Raises TraceError."""
    buckets, rows = seen_of(Trace.open(directory))
    themes = ",".join(f"{theme}:{figures_json(buckets, rows, lang=lang, theme=theme)}" for theme in ("light", "dark"))
    boxes = "".join(f'<h3></h3><div class="figure" data-figure="{name}"></div>' for name in NAMES)
    data = themes.replace("</", "<\\/")
    return (
        f"{boxes}<noscript><p>{_NO_SCRIPT[lang]}</p></noscript><script>{_plotly()}</script>"
        f"<script>const FIGURES = {{{data}}};{_DRAW}</script>"
    )


def _plotly() -> str:
    return (resources.files("plotly") / "package_data" / "plotly.min.js").read_text("utf-8")
