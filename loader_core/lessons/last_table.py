"""The comparison that the ladder ends in: Python's iterator beside a DataLoader, each cell measured in a lesson."""

from __future__ import annotations

from loader_core.lessons.lesson import Cell, Row, Table


def _row(key: str, lesson: str, iterator: str, loader: str) -> Row:
    return Row(key, (Cell(lesson, iterator), Cell(lesson, loader)))


LAST_TABLE = Table(
    columns=("iterator", "loader"),
    rows=(
        _row("parallelism", "08-workers", "fetching_alone", "fetching_lanes"),
        _row("batches", "06-batches", "iterator_per_next", "loader_per_next"),
        _row("shuffling", "07-shuffling", "iterator_orders", "loader_orders"),
        _row("collate", "06-batches", "iterator_gives", "loader_gives"),
        _row("device", "10-device", "blocking_wait", "overlapped_wait"),
        _row("prefetch", "05-loader-by-hand", "overlap", "engine_overlap"),
        _row("integration", "11-together", "by_hand_wait", "of_ours_wait"),
    ),
)
"""Its seven rows. A test holds each cell to a measure that its lesson makes; who renames one renames it here too."""
