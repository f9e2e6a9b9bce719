"""The lessons' prose for notebooks: the page's own text, from its locales, as Markdown."""

from __future__ import annotations

import json
import re
from pathlib import Path

PLACES = (
    Path(__file__).parent / "prose",
    Path(__file__).parent.parent / "frontend" / "src" / "locales" / "lessons",
)
"""Where the prose is: in an installed wheel, and in a checkout."""

_TERM = re.compile(r"\[\[([\w-]+)(?:\|([^\]]+))?\]\]")
_MEASURE = re.compile(r"\{\??(\w+)\}")


def prose_of(number: int, language: str) -> list[str]:
    """The title and the paragraphs of a lesson; none while it has no prose.

    A term of the glossary is written as it stands. A measured number is named as the notebook's last cell prints it.
    """
    for place in PLACES:
        file = place / language / f"{number:02}.json"
        if file.is_file():
            told = json.loads(file.read_text("utf-8"))
            return [f"# {told['title']}", *(_markdown(paragraph) for paragraph in told["prose"])]
    return []


def _markdown(text: str) -> str:
    text = _TERM.sub(lambda found: found[2] or found[1], text)
    return _MEASURE.sub(lambda found: f"**`{found[1]}`**", text)
