import { expect, test } from "vitest";
import { readPageState, writePageState } from "../src/store/page-state";
import { SETTING_NAMES, getSetting, withSetting } from "../src/store/settings-table";
import { DEFAULT_SETTINGS } from "../src/wire";

const nothing = readPageState("");

test("the default state is an empty address", () => {
  expect(writePageState(nothing)).toBe("");
});

test("what is written is read again", () => {
  const state = {
    ...nothing,
    view: "learn",
    run: "20261122-abc",
    from_us: 1_500_000,
    span_us: 250,
    epoch: 2,
    batch: 17,
    stall_us: 1_250_400,
    lang: "es",
    theme: "dark",
    hide: "slow,more",
    settings: withSetting(withSetting(nothing.settings, "num_workers", 7), "dials.storage_latency_ms", 2.5),
  } as const;
  expect(readPageState(writePageState(state))).toEqual(state);
});

test("ten thousand workers in the address are not started", () => {
  expect(readPageState("?num_workers=10000").settings.num_workers).toBe(64);
  expect(readPageState("?batch_size=-3").settings.batch_size).toBe(1);
  expect(readPageState("?dials.cpu_ms=1e99").settings.dials.cpu_ms).toBe(10_000);
  expect(readPageState("?device_gb_per_s=0").settings.device_gb_per_s).toBeGreaterThan(0);
});

test.each(["", "NaN", "Infinity", "0x", "twelve", "%00"])("'%s' is no number: the default stands", (text) => {
  expect(readPageState(`?batch_size=${text}`).settings.batch_size).toBe(nothing.settings.batch_size);
});

test("a stall in the address is a time within the longest run, or none", () => {
  expect(readPageState("?stall_us=-5").stall_us).toBe(-1);
  expect(readPageState("?stall_us=1e99").stall_us).toBe((400 * 86_400e9) / 1e3);
  expect(readPageState("?stall_us=soon").stall_us).toBe(-1);
});

test("a fraction of a whole number is rounded", () => {
  expect(readPageState("?num_workers=2.6").settings.num_workers).toBe(3);
});

test("unknown words and fields are passed over", () => {
  const state = readPageState("?view=admin&engine=pickle&consumer=rm&shuffle=maybe&unknown=1");
  expect(state).toEqual(nothing);
});

test("texts lose control characters and end at their bound", () => {
  expect(readPageState(`?run=${encodeURIComponent("a\u0000b\n")}`).run).toBe("ab");
  expect(readPageState(`?run=${"x".repeat(500)}`).run.length).toBe(64);
});

test("the table has each setting of a run, and its server's default but for the workers", () => {
  for (const name of SETTING_NAMES) {
    if (name === "num_workers") continue;
    expect(getSetting(nothing.settings, name)).toBe(getSetting(DEFAULT_SETTINGS, name));
  }
  expect(Object.keys(DEFAULT_SETTINGS).filter((name) => name !== "dials").every((name) => (SETTING_NAMES as readonly string[]).includes(name))).toBe(true);
});
