"""The program that a lesson shows: one text for both languages and all variants, of which each shows some lines.

- A comment stands in both languages, one line each: `# es: ...` and `# en: ...`. Behind code both stand on its line:
  `index = 0  # es: la posición # en: the position`. The other language's is left out.
- `#? tag` at the end of a line keeps it only in the variant (or the language) `tag`; `#? a, b` in either; `#? !tag` in
  all but that; `#? name=value` where a parameter has that value. `#? tag {` and `#? }`, each alone on a line, do the
  same for the lines between them.
- `$name` stands for the value of the parameter `name`, written as Python writes it.

What is shown is what runs, line by line: the text that this module gives is the file that Python executes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set

from loader_core.lessons.log import Value

_CONDITION = re.compile(r"\s*#\?\s*(?P<tags>[!\w=, -]+)$")
_OPENING = re.compile(r"\s*#\?\s*(?P<tags>[!\w=, -]+)\{$")
_CLOSING = re.compile(r"\s*#\?\s*\}$")
_COMMENT = re.compile(r"#\s+(es|en):\s*(.*?)\s*(?=#\s+(?:es|en):|$)")
_PARAMETER = re.compile(r"\$([a-z_]+)")


def shown(text: str, *, language: str, variant: str, parameters: Mapping[str, Value]) -> tuple[str, ...]:
    """The lines of the program as they are shown and run. Raises KeyError for a parameter that the lesson lacks."""
    tags = {language, variant, *(f"{name}={value}" for name, value in parameters.items())}
    lines = []
    open_blocks: list[bool] = []
    for line in text.strip("\n").splitlines():
        opening = _OPENING.match(line)
        if opening is not None:
            open_blocks.append(_holds(opening["tags"], tags))
            continue
        if _CLOSING.match(line):
            open_blocks.pop()
            continue
        if not all(open_blocks):
            continue
        condition = _CONDITION.search(line)
        if condition is not None:
            if not _holds(condition["tags"], tags):
                continue
            line = line[: condition.start()]
        spoken = _spoken(line, language)
        if spoken is not None:
            lines.append(_PARAMETER.sub(lambda found: repr(parameters[found[1]]), spoken))
    return tuple(lines)


def _holds(condition: str, tags: Set[str]) -> bool:
    wanted = [tag.strip() for tag in condition.split(",")]
    return any((tag[1:] not in tags) if tag.startswith("!") else (tag in tags) for tag in wanted)


def _spoken(line: str, language: str) -> str | None:
    """The line with its comment in `language`; None for a comment of the other one."""
    comments = dict(_COMMENT.findall(line))
    if not comments:
        return line.rstrip()
    before = line[: line.index("#")]
    if language in comments:
        return f"{before}# {comments[language]}"
    return before.rstrip() or None
