import { expect, test } from "vitest";
import { consequences } from "../src/store/consequences";
import { PAGE_DEFAULTS, withSetting } from "../src/store/settings-table";
import type { DatasetInfo } from "../src/wire";

const text: DatasetInfo = {
  id: "words",
  title: { es: "", en: "" },
  about: { es: "", en: "" },
  kind: "text",
  samples: 3,
  bytes: 10,
  needs_pad: true,
  trains: false,
};

test("torch rules out thread workers and a simulated device", () => {
  let settings = withSetting(PAGE_DEFAULTS, "engine", "torch");
  settings = withSetting(withSetting(settings, "worker_method", "thread"), "device", "simulated");
  expect(consequences(settings, "engine", [])).toEqual([
    ["worker_method", "process"],
    ["device", "none"],
  ]);
  expect(consequences(withSetting(settings, "engine", "loaderscope"), "engine", [])).toEqual([]);
});

test("samples of different lengths are padded, and what cannot be learned from is stepped over", () => {
  expect(consequences(withSetting(PAGE_DEFAULTS, "dataset", "words"), "dataset", [text])).toEqual([
    ["collate", "pad"],
    ["consumer", "step"],
  ]);
  const back = withSetting(PAGE_DEFAULTS, "collate", "pad");
  expect(consequences(back, "dataset", [{ ...text, id: "photographs", needs_pad: false, trains: true }])).toEqual([["collate", "default"]]);
});
