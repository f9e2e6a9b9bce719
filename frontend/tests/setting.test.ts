import { expect, test } from "vitest";
import { commandToMeasure } from "../src/prediction/setting";
import type { Setting } from "../src/wire";

const NOW: Setting = {
  num_workers: 0,
  prefetch_factor: 2,
  batch_size: 8,
  worker_method: "process",
  in_order: true,
  persistent_workers: false,
  pin_memory: false,
  cores: 2,
  ranks: 1,
  faster: [],
  cached: false,
};

test("a script is run again with the arguments that differ", () => {
  const wanted = { ...NOW, num_workers: 4, persistent_workers: true };
  expect(commandToMeasure({ argv: ["my train.py", "--lr=0.1"], site: "my train.py:7" }, wanted, NOW)).toBe(
    "loaderscope run --with num_workers=4 --with persistent_workers=True --at 'my train.py:7' 'my train.py' --lr=0.1",
  );
});

test("what only its code can change has no command", () => {
  expect(commandToMeasure({ argv: ["train.py"], site: "train.py:7" }, { ...NOW, num_workers: 4, batch_size: 16 }, NOW)).toBe("");
  expect(commandToMeasure({ argv: ["train.py"], site: "train.py:7" }, NOW, NOW)).toBe("");
});
