import { expect, test } from "vitest";
import { className, codeLines, fragment, tokens } from "../src/controls/code";
import { PAGE_DEFAULTS, SETTING_NAMES, withSetting } from "../src/store/settings-table";

const text = (settings = PAGE_DEFAULTS) =>
  codeLines(settings, undefined)
    .filter(({ quiet }) => !quiet)
    .map((line) => line.text)
    .join("\n");

test("the first settings are a short program", () => {
  expect(text()).toBe(`from loader_core import DataLoader

dataset = Photographs(
    image_size=160,
    augment=True,
)
loader = DataLoader(
    dataset,
    batch_size=32,
    shuffle=True,
    num_workers=2,
    prefetch_factor=2,
    persistent_workers=True,
)

for epoch in itertools.count():
    for batch in loader:
        loss = train(batch)`);
});

test("a setting away from torch's default is written", () => {
  expect(text(withSetting(PAGE_DEFAULTS, "pin_memory", true))).toContain("    pin_memory=True,");
  expect(text(withSetting(PAGE_DEFAULTS, "engine", "torch"))).toContain("from torch.utils.data import DataLoader");
  expect(text(withSetting(PAGE_DEFAULTS, "dials.storage_latency_ms", 5))).toContain("        time.sleep(0.005)");
});

test("a simulated device is an argument of our loader", () => {
  const code = text(withSetting(PAGE_DEFAULTS, "device", "simulated"));
  expect(code).toContain("from loader_core import DataLoader, Simulated");
  expect(code).toContain("    device=Simulated(gb_per_s=12),");
});

test("without workers, nothing is said that torch would refuse", () => {
  const code = text(withSetting(PAGE_DEFAULTS, "num_workers", 0));
  expect(code).not.toContain("prefetch_factor");
  expect(code).not.toContain("persistent_workers");
});

test("each setting has its code", () => {
  for (const name of SETTING_NAMES) expect(fragment(PAGE_DEFAULTS, name)).not.toBe("");
});

test("names of datasets become names of classes", () => {
  expect(["photographs", "my-folder/2", "3d"].map(className)).toEqual(["Photographs", "MyFolder2", "MyDataset"]);
});

test("colouring loses no character", () => {
  const line = '    worker_method="thread",  # 12 of them';
  expect(tokens(line).map((token) => token.text).join("")).toBe(line);
});
