/** Order statistics of plain sample lists. */

/** Nearest rank; NaN of an empty list. Does not change `samples`. */
export function quantile(samples: readonly number[], share: number): number {
  const known = samples.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  if (known.length === 0) return Number.NaN;
  return known[Math.min(known.length - 1, Math.ceil(known.length * share) - 1)] as number;
}

/** Middle value, mean of the two middle ones when the count is even; NaN of an empty list. */
export function median(samples: readonly number[]): number {
  const known = samples.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  if (known.length === 0) return Number.NaN;
  const middle = known.length >> 1;
  if (known.length % 2 === 1) return known[middle] as number;
  return ((known[middle - 1] as number) + (known[middle] as number)) / 2;
}

/** Mean of the middle half: steady against outliers, less noisy than the median; NaN of none. */
export function midmean(samples: readonly number[]): number {
  const known = samples.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const cut = Math.floor(known.length / 4);
  const middle = known.slice(cut, known.length - cut);
  return middle.reduce((sum, sample) => sum + sample, 0) / middle.length;
}
