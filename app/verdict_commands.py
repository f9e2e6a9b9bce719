"""`loaderscope diagnose`, `compare` and `check`: their options, and what they do."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from app.asked import UsageError, add_home, add_lang, find_run, settings_of, writing

FAILS = 1
"""Exit code of a check that does not pass."""


def add_verdict_commands(commands: Any) -> None:
    """The parsers of the three commands."""
    diagnosed = commands.add_parser(
        "diagnose", help="what holds a run back, and what to change", description=diagnose_command.__doc__
    )
    diagnosed.add_argument("run", help="a run's id, or its directory")
    add_home(diagnosed)
    add_lang(diagnosed)
    diagnosed.add_argument("--json", action="store_true", help="print JSON; docs/reports.md has its schema")
    diagnosed.add_argument("--html", metavar="FILE", help="write one page that opens offline; - for standard output")
    diagnosed.set_defaults(command=diagnose_command)

    compared = commands.add_parser(
        "compare", help="what changed between two runs, and by how much", description=compare_command.__doc__
    )
    compared.add_argument("run", help="the run before: its id, or its directory")
    compared.add_argument("other", help="the run after")
    add_home(compared)
    add_lang(compared)
    compared.add_argument("--json", action="store_true", help="print JSON")
    compared.set_defaults(command=compare_command)

    checked = commands.add_parser(
        "check", help="hold a run to limits, for continuous integration", description=check_command.__doc__
    )
    checked.add_argument("run", help="a run's id, or its directory")
    add_home(checked)
    add_lang(checked)
    checked.add_argument("--max-wait-share", metavar="SHARE", help="of the loop's time, such as 10%% or 0.1")
    checked.add_argument("--min-samples-per-s", type=float, metavar="N", help="samples per second at least")
    checked.add_argument(
        "--forbid",
        action="append",
        default=[],
        metavar="CODE",
        help="a finding that must not be; may be given several times",
    )
    checked.set_defaults(command=check_command)


def diagnose_command(options: argparse.Namespace) -> int:
    """Print the verdict on a run: what holds it back, the evidence, what to change, what that should give, and what
    would refute it."""
    from app.reports.terminal import print_verdict
    from app.reports.values import verdict_report
    from app.reports.words import bad_end
    from app.summary import system_lang
    from loader_core.diagnose.verdict import judge_run
    from loader_core.trace.run_file import read_run_file

    directory = find_run(options.run, settings_of(options))
    lang = options.lang or system_lang()
    verdict = judge_run(directory)
    if options.html:
        from app.reports.html import page

        text = page(directory, verdict, lang)
        if options.html == "-":
            sys.stdout.write(text)
        else:
            with writing(options.html):
                Path(options.html).write_text(text, "utf-8")
            _out().print(f"wrote {options.html}", markup=False)
    if options.json:
        sys.stdout.write(json.dumps(verdict_report(directory, verdict), indent=1, ensure_ascii=False) + "\n")
    if not (options.json or options.html):
        ended = bad_end(read_run_file(directory))
        if ended is not None:
            _out().print(ended.es if lang == "es" else ended.en, markup=False, style="red")
        print_verdict(verdict, _out(), lang)
    return 0


def compare_command(options: argparse.Namespace) -> int:
    """Say what changed between two runs: their settings, their rates with an interval, and whether that is noise."""
    from app.reports.comparison import compare_runs, print_comparison
    from app.summary import system_lang

    settings = settings_of(options)
    compared = compare_runs(find_run(options.run, settings), find_run(options.other, settings))
    if options.json:
        sys.stdout.write(json.dumps(compared.as_plain(), indent=1, ensure_ascii=False) + "\n")
    else:
        print_comparison(compared, _out(), options.lang or system_lang())
    return 0


def check_command(options: argparse.Namespace) -> int:
    """Hold a run to limits. Exit code 0: it keeps them; 1: it does not; 2: it cannot be read, or the command is wrong
    in itself."""
    from app.reports.checking import Limits, failures, share_of
    from app.summary import system_lang
    from loader_core.diagnose.verdict import judge_run

    try:
        limits = Limits(
            max_wait_share=None if options.max_wait_share is None else share_of(options.max_wait_share),
            min_samples_per_s=options.min_samples_per_s,
            forbid=tuple(options.forbid),
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    if limits == Limits():
        raise UsageError("say what to check: --max-wait-share 10%, --min-samples-per-s N or --forbid CODE")
    lang = options.lang or system_lang()
    verdict = judge_run(find_run(options.run, settings_of(options)))
    failed = failures(verdict, limits)
    for failure in failed:
        _out().print(failure.es if lang == "es" else failure.en, markup=False, style="red")
    if not failed:
        sentence = verdict.top().sentence
        _out().print(sentence.es if lang == "es" else sentence.en, markup=False)
    return FAILS if failed else 0


def _out() -> Console:
    return Console(soft_wrap=True, highlight=False)
