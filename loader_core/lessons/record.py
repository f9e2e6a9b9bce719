"""`python -m loader_core.lessons.record`: runs one program, and writes its log as JSON to standard output.

A process of its own for each execution, started by `loader_core.lessons.recording`: what a program takes, prints,
leaves behind or breaks is gone with it. It reads one request from standard input, which names a lesson, a variant and
parameters within bounds, or a user's own file; never code. Standard output carries the log alone: what the program
prints is kept in the log, and what its children print is lost.

Exit status 0: there is a log. 3: there is none, and the last line of standard error says why.
"""

from __future__ import annotations

import ast
import contextlib
import json
import linecache
import os
import platform
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import psutil

from loader_core.errors import LessonError, LoaderscopeError
from loader_core.lessons.beside import Beside, sources_beside
from loader_core.lessons.catalogue import find
from loader_core.lessons.lesson import Findings, Lesson, Setting
from loader_core.lessons.log import Cut, LessonHost, Log, Source, thinned, to_json
from loader_core.lessons.output import Output
from loader_core.lessons.program import shown
from loader_core.lessons.recording import REFUSED
from loader_core.lessons.tracer import Tracer

PROGRAM_FILE = "program.py"


@dataclass(frozen=True, slots=True)
class Program:
    """What is run: a file, and which code of it and of the project is followed."""

    file: Path
    sources: tuple[Source, ...]
    beside: tuple[Beside, ...] = ()
    driver: str = ""
    """Code that is run after the file, as a source of its own: the loop over a user's own iterator."""

    @property
    def driver_name(self) -> str:
        """The file name of the driver's code."""
        return "<call>"


def main() -> None:
    """Reads the request, runs it, writes the log."""
    log_stream = _own_streams()
    try:
        request = json.loads(sys.stdin.read())
        if "file" in request:
            record_file(Path(request["file"]), request["call"], log_stream, seconds=request["seconds"])
        else:
            record_lesson(request, Path(request["folder"]), log_stream)
    except LoaderscopeError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(REFUSED)


def _own_streams() -> int:
    """A descriptor for the log; and standard error for this module alone.

    Both are no longer handed down: a process that the program starts and leaves behind would hold them open, and writes
    to nowhere.
    """
    stream, errors = os.dup(1), os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = open(errors, "w", encoding="utf-8")  # noqa: SIM115 - open as long as the process
    return stream


# --- a lesson ---------------------------------------------------------------------------------------------------------


def record_lesson(request: dict[str, Any], folder: Path, stream: int) -> NoReturn:
    """Measures and traces a lesson's program. Raises LoaderscopeError when that cannot be done."""
    lesson = find(request["lesson"])
    parameters = lesson.checked(request["parameters"])
    variant, language = lesson.checked_variant(request["variant"]), request["language"]
    lines = shown(lesson.program, language=language, variant=variant, parameters=parameters)
    file = folder / PROGRAM_FILE
    file.write_text("\n".join(lines) + "\n", "utf-8")
    text = file.read_text("utf-8")
    beside = sources_beside(name for name in lesson.beside if name.partition(":")[0] in text)
    program = Program(file, (Source(PROGRAM_FILE, 1, lines), *(one.source for one in beside)), beside)
    _import_all(lines)
    empty = Log(lesson.id, variant, language, parameters, this_host(), program.sources, (), {})
    _limit_memory(lesson.memory_bytes)
    findings, printed = Findings(), Output()
    if lesson.measure is not None:
        work = folder / "work"
        work.mkdir()
        run = _untraced(program, printed)
        findings = lesson.measure(Setting(parameters, variant, language, work, file, run))
    _record(program, _with(empty, findings, printed.take()), lesson, stream)


def _untraced(program: Program, output: Output) -> Any:
    def run() -> dict[str, Any]:
        with contextlib.redirect_stdout(output):
            return _execute(program, _main_module(program.file))

    return run


def _with(log: Log, findings: Findings, printed: str) -> Log:
    """The log with what was found. What the program has printed stands at the engine's last step, where all is done."""
    steps = tuple(findings.steps)
    if steps:
        steps = (*steps[:-1], replace(steps[-1], output=printed))
    return replace(
        log,
        measures=dict(findings.measures),
        curves=tuple(thinned(curve) for curve in findings.curves),
        lanes=tuple(findings.lanes),
        spans=tuple(findings.spans),
        steps=steps,
    )


def _import_all(lines: Sequence[str]) -> None:
    """Imports what the program imports: traced, the import of torch alone would take a minute."""
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            with contextlib.suppress(ImportError):  # the program itself shows it
                __import__(name)


# --- a user's own file ------------------------------------------------------------------------------------------------

OWN = "mine"


def record_file(file: Path, call: str, stream: int, *, seconds: float) -> NoReturn:
    """Traces a file of the user's: as a script, or, with `call`, a loop over what that expression gives."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LessonError(f"it cannot be read as text: {error}") from error
    sources = [Source(file.name, 1, tuple(text.splitlines()))]
    driver = f"for item in {call}:\n    print(item)\n" if call else ""
    if driver:
        sources.append(Source("--call", 1, tuple(driver.splitlines())))
    for name, place, code in (("it", file.name, text), ("--call", "--call", driver)):
        try:
            compile(code, place, "exec")
        except (SyntaxError, ValueError) as error:
            raise LessonError(f"{name} is no Python that this interpreter reads: {error}") from error
    os.chdir(file.parent)
    sys.path.insert(0, str(file.parent))
    program = Program(file, tuple(sources), driver=driver)
    empty = Log(OWN, "", "en", {}, this_host(), program.sources, (), {})
    lesson = _own_lesson(seconds)
    _limit_memory(lesson.memory_bytes)
    _record(program, empty, lesson, stream)


def _own_lesson(seconds: float) -> Lesson:
    none: Any = None
    return Lesson("00-mine", "", ("",), prediction=none, task=none, question=none, seconds=seconds)


# --- running ----------------------------------------------------------------------------------------------------------


def _record(program: Program, empty: Log, lesson: Lesson, stream: int) -> NoReturn:
    """Traces the program, completes the log, writes it and ends this process."""
    output = Output()
    streams = sys.stdout, sys.stderr

    def finish(cut: Cut) -> NoReturn:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout, sys.stderr = streams
        log = replace(empty, steps=(*empty.steps, *tracer.steps), fault=tracer.fault, cut=cut)
        if lesson.read is not None:
            log = replace(log, measures={**log.measures, **lesson.read(log)})
        _write(log, stream)

    files = {os.fspath(program.file): 0, program.driver_name: 1}
    ranges: dict[int, range] = {}
    for place, one in enumerate(program.beside, start=1):
        files[one.file] = place
        ranges[place] = one.lines
    tracer = Tracer(files, output, full=finish, memory=lesson.memory, ranges=ranges)
    if lesson.traced:
        signal.signal(signal.SIGALRM, lambda *_: finish("time"))
        signal.setitimer(signal.ITIMER_REAL, lesson.seconds)
        _trace(program, tracer, output)
    finish("")


def _trace(program: Program, tracer: Tracer, output: Output) -> None:
    module = _main_module(program.file, name=OWN if program.driver else "__main__")
    sys.stdout = sys.stderr = output
    with contextlib.suppress(BaseException), tracer:
        _execute(program, module)


def _main_module(file: Path, name: str = "__main__") -> ModuleType:
    """The module that the file runs as: the main one, so that workers can import it too."""
    module = ModuleType(name)
    module.__file__ = os.fspath(file)
    module.__spec__ = None
    sys.modules[name] = module
    return module


def _execute(program: Program, module: ModuleType) -> dict[str, Any]:
    text = program.file.read_text("utf-8")
    names = module.__dict__
    exec(compile(text, os.fspath(program.file), "exec"), names)  # noqa: S102 - what this process is for
    if program.driver:
        linecache.cache[program.driver_name] = (0, None, program.driver.splitlines(True), program.driver_name)
        exec(compile(program.driver, program.driver_name, "exec"), names)  # noqa: S102
    return names


def _write(log: Log, stream: int) -> NoReturn:
    """Writes the log and ends the process at once: what the program left running does not hold it up."""
    rest = memoryview(to_json(log).encode())
    while rest:
        rest = rest[os.write(stream, rest) :]
    os._exit(0)


def _limit_memory(nbytes: int) -> None:
    if sys.platform == "linux":  # elsewhere the kernel does not keep this limit
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        soft = nbytes if hard == resource.RLIM_INFINITY else min(nbytes, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def this_host() -> LessonHost:
    """Where this process runs. torch is named only if it is imported already."""
    torch = sys.modules.get("torch")
    return LessonHost(
        python=platform.python_version(),
        torch=None if torch is None else str(torch.__version__),
        system=f"{platform.system()} {platform.machine()}",
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
    )


if __name__ == "__main__":
    main()
