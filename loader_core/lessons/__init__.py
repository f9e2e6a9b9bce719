"""The teaching ladder: real programs, run once in a process of their own, and shown at any step of what they did.

`run_lesson("02-iterator")` runs a lesson on this host and gives its `Log`; `state_at(log, cursor)` is the picture at a
step.

How to write a lesson
---------------------
One module `lesson_NN_name.py` with a `LESSON`; its id `NN-name` stands in `catalogue.LESSONS`. That is all.

- **program**: the text of the shown program, with both languages' comments and all variants (`program.py` has the
  notation: `# es:` and `# en:` on lines of their own, one below the other, and equally many of them; `#? variant` and
  `#? variant {` ... `#? }`; `$parameter`). What is shown is the file that runs, as `__main__`: a program with workers
  has `if __name__ == "__main__":` as any script must. Print names and numbers, not sentences: prose is the page's.
- **variants**: the first is what the lesson opens with. **task** chooses among them, and is done when a measure is as
  wanted. **prediction** and **question** name the measure that has their answer.
- **parameters**: bounded, each with a default at which the lesson is short: some hundred steps, of 2,000 at most.
- **beside**: `module:name` of loader_core's code that the program imports and steps into; shown beside it.
- **measure(setting) -> Findings** runs before the program is traced, in the same process, and measures what steps
  cannot show. `setting.run()` runs the program untraced and gives its global names; `setting.folder` is empty, and is
  deleted afterwards. For a lesson of the engine it makes a `Recording` in that folder, and gives `lanes`, `spans` and
  `steps` (event "engine", `span` the place in `spans`, `line` the line of the program that the consumer is at, `stack`
  empty or the consumer's frame), and the lesson has `traced=False`. `recorded.tell` makes all three of recordings.
- **read(log) -> measures** takes from the steps what they show; `reading.py` has the words for it. It must stand a log
  that was cut, or whose program failed.
- **table**: a comparison whose cells are measures, of this lesson or of others; lesson 12's is `last_table.LAST_TABLE`.
- Names of measures, variants, parameters, choices and curves are the keys of the page's prose
  (`frontend/src/locales/lessons`), which fills each `{measure}` from the log: never write a number into prose.
  `{?measure}` stays covered until the prediction was made: so is written whatever would give it away.

No module here imports torch when it is imported: the server lists the lessons. Import it inside `measure`.
Each claim of a lesson has a measure, and a test in `tests/lessons` that would fail were it false.
"""

from loader_core.lessons.log import Log, Picture, state_at
from loader_core.lessons.recording import run_lesson

__all__ = ["Log", "Picture", "run_lesson", "state_at"]
