"""What the tracer sees of a program, and where a recording ends that would not end by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from loader_core.errors import LessonError
from loader_core.lessons import recording
from loader_core.lessons.log import MAX_OUTPUT, MAX_STEPS, Log, Picture, state_at
from loader_core.lessons.reading import functions, last, length, name, pictures, steps_of, texts, thing
from tests.lessons.conftest import RunText

GENERATOR = """
def squares(count):
    number = 0
    while number < count:
        yield number * number
        number += 1
    return "done"

walk = squares(3)
first = next(walk)
rest = list(walk)
"""


def events(log: Log, function: str) -> list[tuple[str, str | None]]:
    names = functions(log)
    return [(step.event, step.value) for step in log.steps if names[step.frame] == function and step.event != "line"]


def frames_of(picture: Picture, function: str) -> list[str]:
    return [frame.state for frame in picture.stack if frame.function == function]


def test_a_generator_yields_and_goes_on_and_returns_at_last(run_text: RunText) -> None:
    log = run_text(GENERATOR)
    assert events(log, "squares") == [
        ("call", None),
        ("yield", "0"),
        ("resume", None),
        ("yield", "1"),
        ("resume", None),
        ("yield", "4"),
        ("resume", None),
        ("return", "'done'"),
    ]
    assert texts(log, "rest") == ("1", "4")


def test_a_suspended_frame_stays_on_screen_with_its_names(run_text: RunText) -> None:
    log = run_text(GENERATOR)
    line = next(number for number, text in enumerate(log.sources[0].lines, 1) if text.startswith("rest"))
    picture = next(one for one in pictures(log) if one.step and one.step.line == line)
    (waiting,) = (frame for frame in picture.stack if frame.function == "squares")
    assert waiting.state == "suspended"
    assert [(local.name, local.text) for local in waiting.locals] == [("count", "3"), ("number", "0")]
    walk = next(local.thing for local in picture.stack[0].locals if local.name == "walk")
    assert walk is not None
    assert picture.things[walk].frame == waiting.id
    assert frames_of(last(log), "squares") == []


def test_a_generator_that_was_never_asked_has_no_frame(run_text: RunText) -> None:
    log = run_text(GENERATOR.partition("first")[0])
    assert "squares" not in functions(log).values()
    assert thing(log, "walk").kind == "generator"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        ("walk.close()", "GeneratorExit"),
        ("del walk", "GeneratorExit"),
        ("try:\n    walk.throw(ValueError('no'))\nexcept ValueError:\n    pass", "ValueError: no"),
    ],
)
def test_how_a_suspended_generator_ends(ending: str, told: str, run_text: RunText) -> None:
    log = run_text(GENERATOR.partition("rest")[0] + ending)
    assert ("raise", told) in events(log, "squares")
    assert events(log, "squares")[-1][0] == "return"
    assert frames_of(last(log), "squares") == []
    assert log.fault is None


def test_yield_from_and_send(run_text: RunText) -> None:
    log = run_text(
        "def inner():\n    got = yield 1\n    return got\n\n"
        "def outer():\n    value = yield from inner()\n    yield value\n\n"
        "walk = outer()\nseen = [next(walk), walk.send('hello')]\n"
    )
    assert texts(log, "seen") == ("1", "'hello'")
    assert events(log, "inner")[-1] == ("return", "'hello'")


def test_stop_iteration_comes_up_into_the_loop(run_text: RunText) -> None:
    log = run_text(
        "class Two:\n    def __init__(self):\n        self.left = 2\n    def __iter__(self):\n        return self\n"
        "    def __next__(self):\n        if not self.left:\n            raise StopIteration\n"
        "        self.left -= 1\n        return self.left\n\nfor item in Two():\n    pass\n"
    )
    assert len(steps_of(log, "__next__", "call")) == 3
    assert [step.value for step in steps_of(log, "<module>", "raise")] == ["StopIteration"]
    assert log.fault is None


def test_the_same_object_is_the_same_thing(run_text: RunText) -> None:
    log = run_text("one = [1]\nother = one\nelse_ = [1]\none.append(2)\nend = 0\n")
    assert name(log, "one").thing == name(log, "other").thing != name(log, "else_").thing  # type: ignore[union-attr]
    assert length(log, "other") == 2


def test_an_object_that_is_gone_gives_its_number_to_no_other(run_text: RunText) -> None:
    log = run_text(
        "values = [0]\nfor number in range(5):\n    values = [number]\n    del values\n    values = [number]\n"
    )
    owners: dict[int, set[str]] = {}
    for before, after in zip(pictures(log), list(pictures(log))[1:], strict=False):
        for number in after.things.keys() - before.things.keys():
            owners.setdefault(number, set()).add(str(after.cursor))
    assert all(len(born) == 1 for born in owners.values())


def test_tensors_and_arrays_show_their_values(run_text: RunText) -> None:
    log = run_text(
        "import numpy, torch\na = numpy.arange(6).reshape(2, 3)\nt = torch.zeros(2, 2)\nbig = torch.zeros(300)\n"
    )
    array, tensor, big = thing(log, "a"), thing(log, "t"), thing(log, "big")
    assert array is not None
    assert tensor is not None
    assert big is not None
    assert (array.shape, array.parts[5].name, array.parts[5].text) == ((2, 3), "1, 2", "5")
    assert (tensor.text, tensor.kind) == ("Tensor(2, 2) float32", "tensor")
    assert (len(big.parts), big.hidden) == (256, 44)


def test_no_code_of_the_program_runs_to_show_it(run_text: RunText) -> None:
    log = run_text(
        "calls = []\nclass Nosy:\n    def __init__(self):\n        self.inside = 1\n"
        "    def __repr__(self):\n        calls.append('repr')\n        return 'x'\n"
        "    def __getattr__(self, name):\n        calls.append(name)\n        raise AttributeError(name)\n"
        "    def __iter__(self):\n        calls.append('iter')\n        return iter(())\n"
        "nosy = Nosy()\nbox = [nosy]\nend = 0\n"
    )
    assert length(log, "calls") == 0
    assert [part.name for part in thing(log, "nosy").parts] == ["inside"]  # type: ignore[union-attr]


def test_output_is_told_where_it_was_printed(run_text: RunText) -> None:
    log = run_text("print('one')\nprint('two')\n")
    assert [step.output for step in log.steps] == ["", "one\n", "two\n"]
    assert state_at(log, 1).output == "one\n"


# --- where a recording ends -------------------------------------------------------------------------------------------


def test_an_endless_loop_is_cut_at_the_steps(run_text: RunText) -> None:
    log = run_text("number = 0\nwhile True:\n    number += 1\n")
    assert (log.cut, len(log.steps)) == ("steps", MAX_STEPS)
    assert log.fault is None


def test_a_program_cannot_go_on_behind_the_bound(run_text: RunText, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    log = run_text(
        "import pathlib\ntry:\n    while True:\n        pass\n"
        f"finally:\n    pathlib.Path({str(mark)!r}).write_text('ran')\n"
    )
    assert log.cut == "steps"
    assert not mark.exists()


def test_an_endless_wait_is_cut_by_the_clock(run_text: RunText, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "OWN_SECONDS", 1.0)
    log = run_text("import threading\nbefore = 1\nthreading.Event().wait()\nafter = 1\n")
    assert log.cut == "time"
    assert log.steps[-1].line == 3


def test_code_that_never_comes_back_is_ended(run_text: RunText, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "OWN_SECONDS", 1.0)
    monkeypatch.setattr(recording, "GRACE_S", 3.0)
    with pytest.raises(LessonError, match=r"own\.py: it took more than 4 s, and was ended"):
        run_text("import itertools, collections\ncollections.deque(itertools.repeat(0), maxlen=0)\n")


def test_huge_output_is_cut(run_text: RunText) -> None:
    log = run_text("print('x' * 10_000_000)\nprint('more')\n")
    assert log.cut == "output"
    assert sum(len(step.output) for step in log.steps) == MAX_OUTPUT


def test_a_log_that_grows_too_large_is_cut(run_text: RunText) -> None:
    log = run_text(
        "grow = []\nfor number in range(600):\n    grow = [[str(number) * 70 for _ in range(99)] for _ in range(20)]\n"
    )
    assert log.cut == "bytes"
    assert 0 < len(log.steps) < MAX_STEPS


def test_an_exception_ends_the_program_and_is_told(run_text: RunText) -> None:
    log = run_text("def divide():\n    return 1 / 0\n\ndivide()\n")
    assert log.fault is not None
    assert (log.fault.type, log.fault.message, log.fault.line) == ("ZeroDivisionError", "division by zero", 2)
    assert [step.event for step in log.steps[-4:]] == ["raise", "return", "raise", "return"]


@pytest.mark.parametrize("leave", ["exit()", "import sys\nsys.exit(3)", "raise SystemExit", "raise KeyboardInterrupt"])
def test_a_program_that_leaves_is_shown_to_its_end(leave: str, run_text: RunText) -> None:
    log = run_text(f"before = 1\n{leave}\n")
    assert log.fault is not None
    assert log.fault.type in ("SystemExit", "KeyboardInterrupt")
    assert name(log, "before") is not None


def test_a_process_that_ends_itself_leaves_no_log(run_text: RunText) -> None:
    with pytest.raises(LessonError, match=r"own\.py: its process ended with exit code 7, before its log was written"):
        run_text("import os\nos._exit(7)\n")
    with pytest.raises(LessonError, match="ended by itself, before its log was written"):
        run_text("import os\nos._exit(0)\n")
    with pytest.raises(LessonError, match="its process was ended by SIGKILL"):
        run_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")


def test_recursion_without_an_end_stays_readable(run_text: RunText) -> None:
    log = run_text("def deeper(depth):\n    deeper(depth + 1)\n\ndeeper(0)\n")
    assert max(len(step.stack) for step in log.steps) <= 61
    assert log.fault is not None or log.cut


def test_memory_is_bounded(run_text: RunText) -> None:
    log = run_text("big = bytearray(64 * 1024**3)\n")
    assert log.fault is not None
    assert log.fault.type == "MemoryError"


def test_what_a_program_starts_ends_with_it(run_text: RunText, tmp_path: Path) -> None:
    run_text(
        "import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    )
    # The leak check around each test fails if the child lives on.


def test_a_file_that_is_no_python_says_so(run_text: RunText, tmp_path: Path) -> None:
    with pytest.raises(LessonError, match=r"^own\.py: it is no Python that this interpreter reads: .*line 1"):
        run_text("def broken(:\n")
    with pytest.raises(LessonError, match="--call is no Python"):
        run_text("x = 1\n", call="squares(")
    with pytest.raises(LessonError, match="is not a file: give the Python file"):
        recording.run_file(tmp_path / "none.py")
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LessonError, match=r"^bytes\.py: it cannot be read as text: .*0xff"):
        recording.run_file(tmp_path / "bytes.py")


def test_a_call_is_walked_through_beside_the_file(run_text: RunText) -> None:
    log = run_text(GENERATOR + "\nif __name__ == '__main__':\n    never = 1\n", call="squares(2)")
    assert [source.name for source in log.sources] == ["own.py", "--call"]
    assert log.sources[1].lines[0] == "for item in squares(2):"
    assert "".join(step.output for step in log.steps) == "0\n1\n"
    assert "never" not in {local.name for local in last(log).stack[0].locals}


def test_a_file_may_import_its_neighbours(run_text: RunText, tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("VALUE = 3\n")
    assert name(run_text("from neighbour import VALUE\nend = VALUE\n"), "end").text == "3"  # type: ignore[union-attr]
