/** Sliders over wide ranges: the thumb moves over stops, so that 1 and 1,000 are both easy to reach. */
export const STOPS = {
  batch_size: [1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096],
  image_size: [16, 32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 384, 512, 768, 1024],
  prefetch_factor: [1, 2, 3, 4, 6, 8, 12, 16, 32, 64],
  latency: [0, 0.5, 1, 2, 3, 5, 8, 10, 15, 20, 30, 50, 80, 100, 200, 500, 1000, 2000, 5000, 10_000],
  bandwidth: [0, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 100_000],
  every: [0, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000, 1_000_000],
  gigabytes: [0.1, 0.5, 1, 2, 4, 6, 8, 12, 16, 24, 32, 64, 128, 450, 900, 1000],
  seconds: [0, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 86_400],
  epochs: [0, 1, 2, 3, 5, 10, 20, 50, 100, 1000, 1_000_000],
} as const;

/** The stops from 0 to `max` workers. */
export function workerStops(max: number): number[] {
  const small = Array.from({ length: Math.min(8, max) + 1 }, (_, index) => index);
  return [...small, ...[10, 12, 16, 20, 24, 32, 48, 64].filter((count) => count <= max && count > 8)];
}

/** The stop nearest to a value: the place of the thumb. */
export function nearestStop(stops: readonly number[], value: number): number {
  let best = 0;
  stops.forEach((stop, index) => {
    if (Math.abs(stop - value) < Math.abs(stops[best]! - value)) best = index;
  });
  return best;
}
