/** The pure parts of the Diagnose view. */
import { expect, test } from "vitest";
import { blameOf, type Busy } from "../src/timeline/blame";
import { commandOf, groupRuns, likelyRun } from "../src/views/diagnose/groups";
import { loaderCode } from "../src/views/diagnose/loader-code";
import { found } from "../src/views/diagnose/sample-previews";
import { trendPath } from "../src/views/diagnose/trend-path";
import { DEFAULT_SETTINGS, Kind, type Preview, type RunSummary, type Script, type Stall, type StallSpan } from "../src/wire";

const script = (fields: Partial<Script>): Script => ({ group: "", argv: [], site: "train.py:41", loader: "", rank: 0, ...fields });

const run = (id: string, fields: Partial<RunSummary> = {}): RunSummary => ({
  id,
  name: "",
  state: "finished",
  reason: "",
  truncated: "",
  live: false,
  started_unix_ns: 0,
  duration_ns: 0,
  batches: 0,
  samples: 0,
  bytes_on_disk: 0,
  settings: null,
  script: null,
  loader: null,
  ...fields,
});

test("loaders and ranks of one start of a script stand together, ranks in order, the newest start first", () => {
  const { scripts, others } = groupRuns([
    run("explored"),
    run("old", { started_unix_ns: 1, script: script({ group: "a" }) }),
    run("rank 1", { started_unix_ns: 5, live: true, script: script({ group: "b", rank: 1 }) }),
    run("validation", { started_unix_ns: 7, script: script({ group: "b" }) }),
    run("train", { started_unix_ns: 6, script: script({ group: "b" }) }),
  ]);
  expect(scripts.map(({ id, live, runs }) => [id, live, runs.map((each) => each.id)])).toEqual([
    ["b", true, ["train", "validation", "rank 1"]],
    ["a", false, ["old"]],
  ]);
  expect(others.map(({ id }) => id)).toEqual(["explored"]);
});

test("scripts without a group are not mixed up", () => {
  expect(groupRuns([run("a", { script: script({}) }), run("b", { script: script({}) })]).scripts).toHaveLength(2);
});

test("a command is shown without the folder of its script", () => {
  const command = (...argv: string[]) => commandOf(run("id", { script: script({ argv }) }));
  expect(command("/srv/jobs/train.py", "--data", "/data/x")).toBe("train.py --data /data/x");
  expect(command("-m", "package.module")).toBe("-m package.module");
  expect(command("-u", "C:\\me\\train.py")).toBe("-u train.py");
  expect(command()).toBe("id");
});

test("who has opened nothing gets the newest script that goes on, and no other run", () => {
  const going = { live: true, script: script({ group: "a" }) };
  expect(likelyRun([run("explored", { live: true }), run("over", { script: script({ group: "b" }) })])).toBeUndefined();
  expect(likelyRun([run("older", { ...going, started_unix_ns: 1 }), run("newer", { live: true, started_unix_ns: 2, script: script({ group: "c" }) })])?.id).toBe("newer");
});

test("a loader is shown as the call that made it, without what torch takes anyway", () => {
  const loader = { batch_size: 32, pin_memory: true, sampler: "RandomSampler", dataset: "Photos", timeout: 0, prefetch_factor: null };
  expect(loaderCode(run("id", { loader }))).toBe("DataLoader(Photos, batch_size=32, pin_memory=True, sampler=RandomSampler)");
  expect(loaderCode(run("id", { settings: DEFAULT_SETTINGS }))).toContain('DataLoader(photographs, batch_size=32, num_workers=0, shuffle=True)');
  expect(loaderCode(run("id"))).toBe("");
});

// --- stalls -----------------------------------------------------------------------------------------------------------

const span = (kind: number, start_ns: number, end_ns: number, lane = 1): StallSpan => ({ kind, lane, start_ns, end_ns, inferred: false });

const stall = (fields: Partial<Stall>): Stall => ({
  epoch: 0,
  batch: 7,
  rank: 0,
  lane: 0,
  start_ns: 100,
  end_ns: 200,
  wait_ns: 100,
  start_up: false,
  ready: 0,
  cause: "fetch",
  phases: [],
  worker: 0,
  worker_lane: 1,
  dispatched_ns: 10,
  spans: [span(Kind.FETCH, 20, 150), span(Kind.COLLATE, 150, 190)],
  item: null,
  stage: null,
  hol_ns: 0,
  ready_later: [],
  sentence: { es: "", en: "" },
  ...fields,
});

const nobody = () => null;

test("a stall points at the span of its cause, and at the slowest sample within its reading", () => {
  const item = { sample: 4711, start_ns: 30, duration_ns: 100, of: 32, share: 0.8 };
  expect(blameOf(stall({ item }), nobody)).toEqual({
    batch: { epoch: 0, batch: 7 },
    wait: { lane: 0, startNs: 100, endNs: 200 },
    work: { lane: 1, startNs: 20, endNs: 150 },
    sample: { lane: 1, startNs: 30, endNs: 130 },
  });
  expect(blameOf(stall({ item, cause: "collate" }), nobody)).toMatchObject({ work: { startNs: 150, endNs: 190 }, sample: null });
});

test("a batch that was queued points at what its worker did before it", () => {
  const before: Busy = { lane: 1, startNs: 5, endNs: 120, batch: { epoch: 0, batch: 5 } };
  const asked: [number, number][] = [];
  const why = blameOf(stall({ cause: "queue" }), (lane, ns) => {
    asked.push([lane, ns]);
    return before;
  });
  expect(asked).toEqual([[1, 100]]);
  expect(why).toMatchObject({ batch: { batch: 5 }, work: { startNs: 5, endNs: 120 } });
});

test("without a span of its cause it points at the one that lies in most of the wait; with none at nothing", () => {
  expect(blameOf(stall({ cause: "other" }), nobody)).toMatchObject({ work: { startNs: 20 } });
  expect(blameOf(stall({ cause: "queue" }), nobody)).toMatchObject({ work: { startNs: 20 } });
  expect(blameOf(stall({ spans: [] }), nobody)).toBeNull();
});

// --- samples and charts -----------------------------------------------------------------------------------------------

const preview = (number: number, indices: number[], fields: Partial<Preview> = {}): Preview => ({
  number,
  at_ns: 0,
  batch: 0,
  epoch: 0,
  indices,
  indices_total: indices.length,
  labels: [],
  texts: [],
  leaves: [],
  sheet: true,
  tile: 96,
  columns: 8,
  tiles: 2,
  ...fields,
});

test("a sample is found in the newest preview that shows it", () => {
  const list = [preview(1, [4, 5]), preview(2, [5, 6]), preview(3, [7, 8, 5])];
  expect(found(list, 5)).toMatchObject({ preview: { number: 2 }, place: 0 }); // the third has no picture of its third sample
  expect(found(list, 9)).toBeNull();
  expect(found([preview(1, [4], { sheet: false, texts: ["hello"] })], 4)).toMatchObject({ place: 0 });
  expect(found([preview(1, [4], { sheet: false })], 4)).toBeNull();
});

test("a trend goes from its lowest to its highest value, and a constant lies in the middle", () => {
  expect(trendPath([{ at_ns: 0, value: 10 }, { at_ns: 5, value: 20 }, { at_ns: 10, value: 15 }], 100, 32)).toBe("M0.0 30.0L50.0 2.0L100.0 16.0");
  expect(trendPath([{ at_ns: 0, value: 7 }, { at_ns: 10, value: 7 }], 100, 32)).toBe("M0.0 16.0L100.0 16.0");
});
