"""The settings of a run as options of the command line, made from the model that the page uses too."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from app.problems import UnfitError
from app.wire import Dials, RunSettings


def add_run_options(parser: argparse.ArgumentParser, *, without: Collection[str] = ()) -> None:
    """An option for each setting of a run (`--num-workers 4`, `--no-shuffle`), and `--set NAME=VALUE` for the dials.

    `without`: settings that the command decides by itself.
    """
    group = parser.add_argument_group("settings of the run")
    for name, field in RunSettings.model_fields.items():
        if name != "dials" and name not in without:
            group.add_argument(f"--{name.replace('_', '-')}", dest=f"run_{name}", default=None, **_form(field))
    names = ", ".join(f"dials.{name}" for name in Dials.model_fields)
    group.add_argument(
        "--set",
        dest="run_set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"any setting by its name; also {names}",
    )


def run_settings(options: argparse.Namespace) -> RunSettings:
    """The settings that the options ask for. Raises UnfitError, pydantic.ValidationError."""
    fields: dict[str, Any] = {
        name: value for name in RunSettings.model_fields if (value := getattr(options, f"run_{name}", None)) is not None
    }
    for assignment in options.run_set:
        name, separator, value = assignment.partition("=")
        if not separator:
            raise UnfitError(
                f"--set {assignment}: write it as NAME=VALUE, for example --set dials.cpu_ms=5", field=assignment
            )
        _put(fields, name.strip().replace("-", "_"), value)
    return RunSettings.model_validate(fields)


def _put(fields: dict[str, Any], name: str, value: str) -> None:
    group, separator, dial = name.partition(".")
    if separator:
        fields.setdefault(group, {})[dial] = value
    else:
        fields[name] = value


def _form(field: FieldInfo) -> dict[str, Any]:
    """How argparse reads a setting; its bounds are the model's business."""
    about = f"{field.description + '; ' if field.description else ''}default {field.default!r}".replace("%", "%%")
    if field.annotation is bool:
        return {"action": argparse.BooleanOptionalAction, "help": about}
    if get_origin(field.annotation) is Literal:
        return {"choices": get_args(field.annotation), "help": about}
    kind = field.annotation if field.annotation in (int, float) else str
    return {"type": kind, "metavar": kind.__name__.upper(), "help": about}
