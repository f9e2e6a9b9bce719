"""What a measured headroom says, in words."""

from __future__ import annotations

from loader_core.diagnose.bilingual import Bilingual, duration, share
from loader_core.diagnose.facts import Headroom


def headroom_sentence(headroom: Headroom) -> Bilingual:
    """With batches that were there already a step took so long: what a perfect loader would save."""
    saved_ns = max(0, headroom.before_ns - headroom.cached_ns)
    text = Bilingual(
        "Medido con lotes que ya estaban listos ({steps} pasos): un lote cada {cached} en vez de cada {before}. "
        "Un cargador perfecto ahorraría el {saved} del tiempo",
        "Measured with batches that were ready ({steps} steps): a batch every {cached} instead of every {before}. "
        "A perfect loader would save {saved} of the time",
    ).format(
        steps=headroom.steps,
        cached=duration(headroom.cached_ns),
        before=duration(headroom.before_ns),
        saved=share(saved_ns / max(1, headroom.before_ns)),
    )
    if headroom.epoch_batches is None:
        return text + Bilingual.same(".")
    epoch = Bilingual(", {time} por época.", ", {time} per epoch.").format(
        time=duration(saved_ns * headroom.epoch_batches)
    )
    return text + epoch
