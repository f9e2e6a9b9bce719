/** A round number at or above the peak: the end of a strip's scale, so that it changes rarely. */
export function niceCeiling(peak: number): number {
  if (!(peak > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(peak));
  const digit = peak / power;
  return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 4 ? 4 : digit <= 5 ? 5 : digit <= 8 ? 8 : 10);
}
