/** Paints: the colour groups in which spans are drawn. A kind names its paint in the kind table of the first message. */
import type { KindInfo, Stage } from "../wire";

export const PAINTS = [
  "waiting",
  "blocked",
  "main",
  "read",
  "decode",
  "transform",
  "collate",
  "transfer",
  "step",
  "forward",
  "backward",
  "optimizer",
  "observer",
  "mark",
  "error",
] as const;
export type Paint = (typeof PAINTS)[number];

const numberOf = new Map<string, number>(PAINTS.map((paint, index) => [paint, index]));
export const WAITING = 0;
export const BLOCKED = 1;
export const TRANSFORM = numberOf.get("transform")!;
export const MARK = numberOf.get("mark")!;
export const ERROR = numberOf.get("error")!;

/** Rows of a lane: whole spans above, then their parts. Marks have no row of their own. */
export const Level = { SPAN: 0, PART: 1, STAGE: 2, MARK: 3 } as const;
export const LEVELS = 4;

/** How a kind is drawn, looked up by its number without making an object. */
export class KindTable {
  readonly paint = new Uint8Array(256).fill(MARK);
  readonly level = new Uint8Array(256).fill(Level.MARK);
  readonly waits = new Uint8Array(256);
  private readonly byNumber = new Map<number, KindInfo>();
  private stageKind = -1;
  private stagePaint = new Map<number, number>();
  private stageName = new Map<number, string>();

  learn(kinds: readonly KindInfo[]): void {
    for (const kind of kinds) {
      this.byNumber.set(kind.kind, kind);
      this.paint[kind.kind] = numberOf.get(kind.paint) ?? MARK;
      this.waits[kind.kind] = kind.nature === "wait" ? 1 : 0;
      if (kind.paint === "stage") this.stageKind = kind.kind;
      this.level[kind.kind] =
        kind.nature === "mark"
          ? Level.MARK
          : kind.nature !== "part"
            ? Level.SPAN
            : kind.paint === "stage"
              ? Level.STAGE
              : Level.PART;
    }
  }

  /** Takes the names of stages. True when one was new, so that stages drawn before must be painted again. */
  learnStages(stages: readonly Stage[]): boolean {
    let changed = false;
    for (const stage of stages) {
      if (this.stageName.get(stage.id) === stage.name) continue;
      this.stageName.set(stage.id, stage.name);
      this.stagePaint.set(stage.id, paintOfStage(stage.name));
      changed = true;
    }
    return changed;
  }

  get(kind: number): KindInfo | undefined {
    return this.byNumber.get(kind);
  }

  isStage(kind: number): boolean {
    return kind === this.stageKind;
  }

  stage(value: number): string | undefined {
    return this.stageName.get(value);
  }

  /** How kinds of these names are painted. */
  paintsOf(names: readonly string[]): ReadonlySet<number> {
    const wanted = [...this.byNumber.values()].filter(({ name }) => names.includes(name));
    return new Set(wanted.map(({ kind }) => this.paint[kind]!));
  }

  /** Whether a stage with this paint was recorded. */
  hasStage(paint: Paint): boolean {
    const wanted = numberOf.get(paint)!;
    for (const painted of this.stagePaint.values()) if (painted === wanted) return true;
    return false;
  }

  paintOf(kind: number, value: number): number {
    return kind === this.stageKind ? (this.stagePaint.get(value) ?? TRANSFORM) : this.paint[kind]!;
  }
}

/**
 * Stages are named by whoever wrote the dataset or the training loop: a few names are known, all else is a
 * transformation of the sample.
 */
function paintOfStage(name: string): number {
  return numberOf.get(stagePaint(name))!;
}

export function stagePaint(name: string): Paint {
  const known = name.toLowerCase();
  if (/^(transfer|h2d|to_device|copy)/.test(known)) return "transfer";
  for (const part of ["forward", "backward", "optimizer"] as const) if (known.startsWith(part)) return part;
  if (/read|open|load|fetch|download|storage|io\b/.test(known)) return "read";
  if (/decode|parse|tokeni[sz]e|unpack|decompress/.test(known)) return "decode";
  return "transform";
}
