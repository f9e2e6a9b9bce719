import { readFileSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { ProtocolError } from "../src/socket/errors";
import { decodeFrame } from "../src/socket/frames";

/** Frames that Python wrote, and what Python says is in them: the same files hold both readers to one layout. */
const GOLDEN = new URL("../../tests/golden/", import.meta.url);
const names = readdirSync(GOLDEN)
  .filter((name) => name.endsWith(".bin"))
  .map((name) => name.slice(0, -4));

function golden(name: string): ArrayBuffer {
  const bytes = readFileSync(new URL(`${name}.bin`, GOLDEN));
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}

interface Expected {
  readonly refused?: string;
  readonly header?: Record<string, number>;
  readonly columns?: Record<string, (number | null)[]>;
}
const expected = (name: string) => JSON.parse(readFileSync(new URL(`${name}.json`, GOLDEN), "utf8")) as Expected;

const good = names.filter((name) => !expected(name).refused);
const bad = names.filter((name) => expected(name).refused);

test("there are golden frames of both kinds", () => {
  expect(good).toEqual(expect.arrayContaining(["spans", "series", "rollup", "empty"]));
  expect(bad.length).toBeGreaterThan(3);
});

test.each(good)("the golden frame %s is decoded as Python decodes it", (name) => {
  const { header, columns } = decodeFrame(golden(name));
  expect(header).toEqual(expected(name).header);
  const shown = Object.fromEntries(
    Object.entries(columns).map(([column, values]) => [
      column,
      Array.from(values as ArrayLike<number>, (value) => (Number.isNaN(value) ? null : value)),
    ]),
  );
  expect(shown).toEqual(expected(name).columns);
});

test.each(bad)("the golden frame %s is refused", (name) => {
  const refusal = expected(name).refused!.replaceAll(/b'(\w+)'/g, "'$1'");
  expect(() => decodeFrame(golden(name))).toThrow(new ProtocolError(refusal));
});
