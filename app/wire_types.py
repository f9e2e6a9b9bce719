"""Writes what restates app/wire.py, app/lessons_wire.py and app/sweep_wire.py in other languages:
frontend/src/wire.ts, and the byte tables of docs/protocol.md.

`python -m app.wire` writes both, `python -m app.wire --check` only says whether they are what it would write. The
output depends on these, what they send of loader_core, and loader_core/trace/event.py alone, so that a stale file
is a difference in bytes.
"""

from __future__ import annotations

import ast
import inspect
import json
import struct
import sys
import textwrap
import types
from collections.abc import Iterator
from dataclasses import is_dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import annotated_types as bounds
import numpy as np
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app import lessons_wire, sweep_wire, wire
from app.sweep_wire import PARAMETERS
from loader_core.diagnose.findings import LintCode, LintLevel
from loader_core.diagnose.journeys import PhaseName
from loader_core.diagnose.memory import TrendName
from loader_core.diagnose.verdict_types import Code, Confidence, Measure
from loader_core.lessons import log
from loader_core.trace import event

ROOT = Path(__file__).resolve().parent.parent
TYPESCRIPT = ROOT / "frontend" / "src" / "wire.ts"
PROTOCOL = ROOT / "docs" / "protocol.md"

BEGIN = "<!-- {}: written by `python -m app.wire` -->"
END = "<!-- end of {} -->"

_SCALARS = {str: "string", int: "number", float: "number", bool: "boolean", Any: "unknown", type(None): "null"}
_ALIASES = {
    wire.RunState: "RunState",
    PhaseName: "PhaseName",
    TrendName: "TrendName",
    LintCode: "LintCode",
    LintLevel: "LintLevel",
    Code: "VerdictCode",
    Confidence: "Confidence",
    Measure: "EvidenceMeasure",
    log.Event: "StepEvent",
    log.FrameState: "FrameState",
    log.ThingKind: "ThingKind",
    log.Cut: "Cut",
    log.Value: "Value",
}
_ARRAYS = {
    "<f8": "Float64Array",
    "<f4": "Float32Array",
    "<u4": "Uint32Array",
    "<u2": "Uint16Array",
    "|u1": "Uint8Array",
}
_FRAMES = {
    "Span": (wire.FrameType.SPANS, wire.SPAN_COLUMNS),
    "Series": (wire.FrameType.SERIES, wire.SERIES_COLUMNS),
    "Rollup": (wire.FrameType.ROLLUP, wire.ROLLUP_COLUMNS),
}

_INTRODUCTION = """\
// Written by `python -m app.wire` from app/wire.py, app/lessons_wire.py, app/sweep_wire.py, loader_core/diagnose,
// loader_core/lessons and loader_core/trace/event.py. Change those, not this file.
//
// A binary frame is a little-endian header of HEADER_BYTES, then its columns one after the other, each contiguous:
// the column `c` of a frame of `count` rows begins at HEADER_BYTES + count * c.before.
"""


# --- TypeScript -------------------------------------------------------------------------------------------------------


def typescript() -> str:
    """The whole of frontend/src/wire.ts."""
    return "\n".join([_INTRODUCTION, *_constants(), *_enums(), *_models(), *_limits(), *_frames()])


def _constants() -> Iterator[str]:
    yield _constant("PROTOCOL", wire.PROTOCOL)
    yield _constant("MAX_CLIENT_MESSAGE_BYTES", wire.MAX_CLIENT_MESSAGE_BYTES)
    yield _constant("MAX_FRAMES_IN_FLIGHT", wire.MAX_FRAMES_IN_FLIGHT)
    yield _constant("MAX_SPANS_PER_FRAME", wire.MAX_SPANS_PER_FRAME)
    yield _constant("BUCKET_NS", wire.BUCKET_NS)
    yield _constant("MAX_BUCKETS", wire.MAX_BUCKETS)
    yield _constant("MAX_CELLS", sweep_wire.MAX_CELLS)
    yield "/** The parameters of a run that can be swept. */"
    yield f"export const SWEPT = {_literal(list(PARAMETERS))} as const;\n"
    yield "/** Stands in a span's `value` for what was not measured, and in `sample` for a span of no single sample. */"
    yield _constant("NOT_MEASURED", event.NOT_MEASURED)
    yield "/** Stands in a span's `batch` for a span that belongs to no batch. */"
    yield _constant("NO_BATCH", event.NO_BATCH)
    yield "/** The fields of RunSettings that change without restarting the loader. */"
    yield f"export const LIVE_FIELDS = {_literal(sorted(wire.LIVE_FIELDS))} as const;\n"


def _constant(name: str, value: str | int) -> str:
    return f"export const {name} = {_literal(value)};\n"


def _enums() -> Iterator[str]:
    for enum in (wire.FrameType, wire.Series, event.Kind, event.Flag):
        name = enum.__name__
        members = "".join(f"  {member.name}: {int(member)},\n" for member in enum)
        yield f"{_comment(enum)}export const {name} = {{\n{members}}} as const;"
        yield f"export type {name} = (typeof {name})[keyof typeof {name}];\n"


def _models() -> Iterator[str]:
    sent_by_client = {*_union_members(wire.ClientMessage), lessons_wire.RecordRequest, sweep_wire.SweepRequest}
    for alias, name in _ALIASES.items():
        yield f"export type {name} = {_type(alias, named=False)};\n"
    for measured in _measured():
        yield _measured_interface(measured)
    for model in _own_models():
        fields = "".join(
            _field(name, field, optional=model in sent_by_client and name != "type" and not field.is_required())
            for name, field in model.model_fields.items()
        )
        yield f"{_comment(model)}export interface {model.__name__} {{\n{fields}}}\n"
    for name in ("ServerMessage", "ClientMessage"):
        members = "\n".join(f"  | {model.__name__}" for model in _union_members(getattr(wire, name)))
        yield f"export type {name} =\n{members};\n"


def _own_models() -> list[type[BaseModel]]:
    return [
        model
        for model in {**vars(wire), **vars(lessons_wire), **vars(sweep_wire)}.values()
        if isinstance(model, type) and issubclass(model, wire.Wire) and model is not wire.Wire
    ]


def _measured() -> list[type]:
    """The dataclasses that the wire sends as they are, and those inside them: each after those that it is made of."""
    found: dict[type, None] = {}

    def find(annotation: Any) -> None:
        for argument in get_args(annotation):
            find(argument)
        if isinstance(annotation, type) and is_dataclass(annotation) and annotation not in found:
            for hint in get_type_hints(annotation).values():
                find(hint)
            found[annotation] = None

    for measured in (*wire.MEASURED, *lessons_wire.RECORDED, *sweep_wire.COMPARED):
        find(measured)
    twice = {one.__name__ for one in found if sum(one.__name__ == other.__name__ for other in found) > 1}
    if twice:
        raise TypeError(f"two types of one name would be one in TypeScript: rename one of {', '.join(sorted(twice))}")
    return list(found)


def _measured_interface(measured: type) -> str:
    comments, hints = _attribute_comments(measured), get_type_hints(measured)
    fields = "".join(f"{comments.get(name, '')}  readonly {name}: {_type(hint)};\n" for name, hint in hints.items())
    return f"{_comment(measured)}export interface {measured.__name__} {{\n{fields}}}\n"


def _attribute_comments(documented: type) -> dict[str, str]:
    """What stands below the attributes of a dataclass, by attribute."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(documented))).body
    assert isinstance(definition, ast.ClassDef)
    comments = {}
    for statement, below in pairwise(definition.body):
        match statement, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                comments[name] = f"  /** {' '.join(text.split())} */\n"
    return comments


def _union_members(union: Any) -> tuple[type[BaseModel], ...]:
    members: tuple[type[BaseModel], ...] = get_args(get_args(union)[0])
    return members


def _field(name: str, field: FieldInfo, *, optional: bool) -> str:
    comment = f"  /** {field.description} */\n" if field.description else ""
    return f"{comment}  readonly {name}{'?' if optional else ''}: {_type(field.annotation)};\n"


def _type(annotation: Any, *, named: bool = True) -> str:
    """The TypeScript type of a field's annotation. Raises TypeError for one that the wire does not use so far."""
    if named and annotation in _ALIASES:
        return _ALIASES[annotation]
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation)):
        return annotation.__name__
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return " | ".join(_literal(member.value) for member in annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(_literal(value) for value in arguments)
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(_type(member) for member in arguments))
    if origin is list or (origin is tuple and arguments[1:] == (...,)):
        member = _type(arguments[0])
        return f"readonly ({member})[]" if " " in member else f"readonly {member}[]"
    if origin is tuple:
        return f"readonly [{', '.join(_type(member) for member in arguments)}]"
    if origin is dict:
        return f"Readonly<Record<{_type(arguments[0])}, {_type(arguments[1])}>>"
    if origin is Annotated:
        return _type(arguments[0])
    raise TypeError(f"app/wire_types.py has no TypeScript for {annotation!r}; add it to _type")


def _limits() -> Iterator[str]:
    yield "/** What a field accepts. `above` is a minimum that itself is refused. */"
    yield "export interface Limit {"
    yield "  readonly default: unknown;"
    yield "  readonly integer?: true;"
    yield "  readonly min?: number;"
    yield "  readonly above?: number;"
    yield "  readonly max?: number;"
    yield "  readonly maxLength?: number;"
    yield "  readonly choices?: readonly string[];\n}\n"
    for model, name in ((wire.Dials, "DIALS_LIMITS"), (wire.RunSettings, "RUN_SETTINGS_LIMITS")):
        rows = "".join(
            f"  {field}: {_literal(_limit(declared))},\n"
            for field, declared in model.model_fields.items()
            if declared.annotation is not wire.Dials
        )
        yield f"export const {name} = {{\n{rows}}} as const satisfies Record<string, Limit>;\n"
    defaults = json.dumps(wire.RunSettings().model_dump(), indent=2)
    yield f"export const DEFAULT_SETTINGS: RunSettings = {defaults};\n"


def _limit(field: FieldInfo) -> dict[str, Any]:
    limit: dict[str, Any] = {"default": field.default}
    if field.annotation is int:
        limit["integer"] = True
    if get_origin(field.annotation) is Literal:
        limit["choices"] = list(get_args(field.annotation))
    for bound in field.metadata:
        match bound:
            case bounds.Ge():
                limit["min"] = bound.ge
            case bounds.Gt():
                limit["above"] = bound.gt
            case bounds.Le():
                limit["max"] = bound.le
            case bounds.MaxLen():
                limit["maxLength"] = bound.max_length
            case _:
                raise TypeError(f"app/wire_types.py cannot say {bound!r} in TypeScript; add it to _limit")
    return limit


def _frames() -> Iterator[str]:
    yield f"export const MAGIC = {_literal(wire.MAGIC.decode())};"
    yield f"export const HEADER_BYTES = {wire.FRAME_HEADER.size};"
    yield "/** Where each field of a frame's header begins, in bytes. */"
    offsets = "".join(f"  {name}: {offset},\n" for name, offset, _ in _header_rows())
    yield f"export const HEADER_OFFSET = {{\n{offsets}}} as const;\n"
    for name, (frame_type, columns) in _FRAMES.items():
        rows, fields = "", ""
        for column, before, dtype in _column_rows(columns):
            array = _ARRAYS[dtype.str]
            rows += f'  {{ name: "{column}", array: {array}, bytes: {dtype.itemsize}, before: {before} }},\n'
            fields += f"  readonly {column}: {array};\n"
        yield f"/** The columns of a {frame_type.name} frame, in the order of their bytes. */"
        yield f"export const {name.upper()}_COLUMNS = [\n{rows}] as const;"
        yield f"export const {name.upper()}_ROW_BYTES = {columns.itemsize};\n"
        yield f"export interface {name}Columns {{\n{fields}}}\n"


def _header_rows() -> Iterator[tuple[str, int, str]]:
    """(field, offset in bytes, struct code) of each field of the frame header."""
    offset = 0
    for name, code in wire.FRAME_HEADER_FIELDS:
        yield name, offset, code
        offset += struct.calcsize("<" + code)


def _column_rows(columns: np.dtype[np.void]) -> Iterator[tuple[str, int, np.dtype[Any]]]:
    """(column, bytes of the columns before it per row, dtype) of each column of a frame type."""
    before = 0
    for name in columns.names or ():
        yield name, before, columns[name]
        before += columns[name].itemsize


def _comment(documented: type) -> str:
    lines = inspect.cleandoc(documented.__doc__ or "").splitlines()
    if len(lines) < 2:
        return f"/** {' '.join(lines)} */\n"
    return "/**\n" + "".join(f" * {line}".rstrip() + "\n" for line in lines) + " */\n"


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


# --- docs/protocol.md -------------------------------------------------------------------------------------------------

_CODES = {"4s": "4 bytes", "B": "u8", "H": "u16", "I": "u32", "d": "f64"}


def byte_tables() -> str:
    """The byte tables of docs/protocol.md, as Markdown."""
    lines = ["**Header**, the same for each frame:", "", "| offset | bytes | type | field |", "|---|---|---|---|"]
    for name, offset, code in _header_rows():
        lines.append(f"| {offset} | {struct.calcsize('<' + code)} | {_CODES[code]} | `{name}` |")
    for frame_type, columns in _FRAMES.values():
        lines += ["", f"**{frame_type.name}** (type {int(frame_type)}), {columns.itemsize} bytes per row:", ""]
        lines += ["| column begins at | bytes per row | type | column |", "|---|---|---|---|"]
        for name, before, dtype in _column_rows(columns):
            start = f"{wire.FRAME_HEADER.size}" + (f" + {before} n" if before else "")
            lines.append(f"| {start} | {dtype.itemsize} | {dtype.kind}{dtype.itemsize * 8} | `{name}` |")
    return "\n".join(lines)


def message_tables() -> str:
    """The messages of docs/protocol.md, as Markdown."""
    lines = []
    for title, union in (("From the server", wire.ServerMessage), ("From the client", wire.ClientMessage)):
        lines += [f"**{title}:**", "", "| type | fields | what it says |", "|---|---|---|"]
        for model in _union_members(union):
            fields = [_field_row(name, field) for name, field in model.model_fields.items() if name != "type"]
            meaning = " ".join(inspect.cleandoc(model.__doc__ or "").split())
            lines.append(f"| `{model.model_fields['type'].default}` | {', '.join(fields) or '-'} | {meaning} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def _field_row(name: str, field: FieldInfo) -> str:
    shown = _type(field.annotation).replace("readonly ", "").replace("|", "\\|")
    return f"`{name}`: {shown}"


def protocol_page(page: str) -> str:
    """`page` with its tables as they are now. Raises ValueError when the marker lines around one are gone."""
    for name, text in (("messages", message_tables()), ("bytes", byte_tables())):
        begin, end = BEGIN.format(name), END.format(name)
        head, has_begin, rest = page.partition(begin)
        _, has_end, tail = rest.partition(end)
        if not has_begin or not has_end:
            raise ValueError(f"docs/protocol.md needs the lines {begin!r} and {end!r} around its {name}")
        page = f"{head}{begin}\n\n{text}\n\n{end}{tail}"
    return page


# --- command ----------------------------------------------------------------------------------------------------------


def wanted() -> dict[Path, str]:
    """The text that each written file should have now."""
    return {TYPESCRIPT: typescript(), PROTOCOL: protocol_page(PROTOCOL.read_text("utf-8"))}


def stale() -> list[Path]:
    """The written files whose text is not what app/wire.py says."""
    return [path for path, text in wanted().items() if not path.is_file() or path.read_text("utf-8") != text]


def main() -> None:
    """`python -m app.wire [--check]`: exit status 1 when `--check` finds a stale file."""
    names = [str(path.relative_to(ROOT)) for path in stale()]
    if sys.argv[1:] == ["--check"]:
        if names:
            sys.exit(f"not what app/wire.py says: {', '.join(names)}; run `python -m app.wire`")
        return
    if sys.argv[1:]:
        sys.exit("usage: python -m app.wire [--check]")
    for path, text in wanted().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    print(f"written: {', '.join(names)}" if names else "nothing to change")
