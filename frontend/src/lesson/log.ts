/** What one execution did, step by step, as the server recorded it (loader_core/lessons/log.py). */
import type { Log } from "../wire";

export type { Curve, Fault, Frame, LessonCard, Local, Log, Measure, Parameter, Question, Source, Span, Step, Task, Thing } from "../wire";

export type Value = number | boolean | string;
export type Language = Log["language"];
