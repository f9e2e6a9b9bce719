import { expect, test } from "vitest";
import { changeTexts } from "../src/timeline/change-text";
import { DEFAULT_SETTINGS, type SettingsChange } from "../src/wire";

const change = (fields: SettingsChange["fields"], restarted_loader = false): SettingsChange => ({ number: 1, at_ns: 0, fields, restarted_loader });

test("a change is named as in the code, with a sign for a new loader", () => {
  expect(changeTexts([change({ num_workers: 4 }, true), change({ augment: false, worker_method: "thread" }, true)])).toEqual([
    "↻ num_workers=4",
    '↻ augment=False, worker_method="thread"',
  ]);
});

test("of the dials only those that were turned are named", () => {
  const slow = { ...DEFAULT_SETTINGS.dials, storage_latency_ms: 5 };
  expect(changeTexts([change({ dials: slow }), change({ dials: { ...slow, cpu_ms: 2 } })])).toEqual(["storage_latency_ms=5", "cpu_ms=2"]);
});

test("many fields end in an ellipsis", () => {
  expect(changeTexts([change({ a: 1, b: 2, c: 3 })])).toEqual(["a=1, b=2 …"]);
});
