"""What sweeps and comparisons say on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.wire import Dials, Lane, RunSettings, RunSummary, Stage, Wire
from loader_core.diagnose.bilingual import Bilingual
from loader_core.diagnose.comparison import RateChange
from loader_core.diagnose.rates import Rate

SweepValue = bool | int | float | str

MAX_CELLS = 36
"""Cells of one sweep; more is refused."""
MIN_CELL_S, MAX_CELL_S = 1.0, 60.0


NOT_SWEPT = frozenset({"name", "dataset", "seconds", "epochs", "dials"})
PARAMETERS = (
    *(name for name in RunSettings.model_fields if name not in NOT_SWEPT),
    *(f"dials.{name}" for name in Dials.model_fields),
)
"""What can be swept. Not the data set: samples of another kind are not comparable by their number."""


class SweepAxis(Wire):
    """One of the two parameters of a sweep: its dotted name in RunSettings, and the values that it takes."""

    name: str = Field(max_length=40)
    values: list[SweepValue] = Field(min_length=1, max_length=MAX_CELLS)


class SweepRequest(Wire):
    """What a page asks for with POST /api/sweeps: `settings` are those of every cell but for the two parameters."""

    settings: RunSettings
    x: SweepAxis
    y: SweepAxis
    seconds: float = Field(default=4.0, ge=MIN_CELL_S, le=MAX_CELL_S, description="how long each cell runs")


class SweepCell(Wire):
    """One setting of a sweep; `x` and `y` count the axes' values from 0."""

    x: int
    y: int
    state: Literal["waiting", "running", "done", "stopped", "failed"]
    run: str = Field(description="'' as long as there is none")
    rate: Rate | None
    reason: str = Field(description="why it failed, in a sentence")
    disturbed: bool = Field(description="another run went on beside it")
    ties_best: bool = Field(description="what was measured does not tell it from the best cell")


class Sweep(Wire):
    """A sweep: its cells, row by row. It is made of its runs, and gone when they are deleted."""

    id: str
    state: Literal["running", "finished", "stopped"]
    x: SweepAxis
    y: SweepAxis
    settings: RunSettings = Field(description="those of its newest run")
    cells: list[SweepCell]
    best: int | None = Field(description="the place of the fastest cell in `cells`")
    started_unix_ns: int
    remaining_s: float | None = Field(description="an estimate; absent when it is over")
    waits_for: str = Field(description="the run that has to end before the next cell begins; '' for none")


# --- comparison of two runs -------------------------------------------------------------------------------------------

COMPARED = (Rate, RateChange)
"""What `loader_core.diagnose` measures of two runs, sent as it is."""


class Difference(Wire):
    """A setting in which two runs differ; None: not known of that run."""

    name: str
    before: SweepValue | None
    after: SweepValue | None


class ComparedRun(Wire):
    """One of the two runs of a comparison, with what it takes to draw it."""

    run: RunSummary
    lanes: list[Lane]
    stages: list[Stage]
    verdict: Bilingual = Field(description="what its verdict is called")
    sentence: Bilingual = Field(description="its verdict in a sentence")
    wait_share: float | None
    steps: int
    rate: Rate | None
    first_batch_ns: int | None = Field(description="when the first batch was there, in run time")
    bucket_ns: int
    curve: list[float] = Field(description="samples per second of each bucket, the first from run time 0")


class RunComparison(Wire):
    """Two runs side by side: what is different, by how much, and whether that is noise."""

    before: ComparedRun
    after: ComparedRun
    differences: list[Difference]
    rate: RateChange
