import { readFileSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";
import type { Log } from "../src/lesson/log";
import { Film, advance, BEFORE, pictureAt } from "../src/lesson/picture";
import { random, randomLog } from "./log";

const recorded = readdirSync(new URL("logs/", import.meta.url)).map(
  (name) => [name, JSON.parse(readFileSync(new URL(`logs/${name}`, import.meta.url), "utf8")) as Log] as const,
);
const logs = [...Array.from({ length: 20 }, (_, seed) => [`random ${seed}`, randomLog(seed, 120)] as const), ...recorded];

test("there are recorded logs among those that are tested", () => {
  expect(recorded.length).toBeGreaterThan(1);
});

test.each(logs)("%s: forth and back ends in the same picture", (_, log) => {
  const film = new Film(log);
  const next = random(7);
  let cursor = -1;
  for (let move = 0; move < 300; move += 1) {
    cursor = film.clamp(cursor + Math.round((next() - 0.5) * 20));
    expect(film.at(cursor)).toEqual(pictureAt(log, cursor));
  }
});

test.each(logs)("%s: one step forth and one back is the very same picture", (_, log) => {
  const film = new Film(log);
  for (let cursor = 0; cursor < film.last; cursor += 1) {
    const here = film.at(cursor);
    film.at(cursor + 1);
    expect(film.at(cursor)).toBe(here);
  }
});

test.each(logs)("%s: a picture is a function of the log alone: it does not matter where one came from", (_, log) => {
  const forwards = new Film(log);
  const jumped = new Film(log);
  const end = jumped.at(jumped.last);
  for (let cursor = -1; cursor <= forwards.last; cursor += 1) forwards.at(cursor);
  expect(forwards.at(forwards.last)).toEqual(end);
});

test("out of bounds is the nearest step", () => {
  const film = new Film(randomLog(3, 10));
  expect(film.at(-50)).toBe(BEFORE);
  expect(film.at(99)).toBe(film.at(9));
  expect(film.at(4.7)).toBe(film.at(4));
});

test("what a step does not name is as it was, and what is gone is gone", () => {
  const log = randomLog(1, 60);
  let picture = BEFORE;
  for (const step of log.steps) {
    const next = advance(picture, step);
    for (const frame of next.stack) {
      if (!step.frames.some(({ id }) => id === frame.id)) expect(picture.stack).toContain(frame);
    }
    for (const id of step.gone) expect(next.things.has(id)).toBe(false);
    expect(next.stack.map(({ id }) => id)).toEqual(step.stack);
    expect(next.output).toBe(picture.output + step.output);
    picture = next;
  }
});
