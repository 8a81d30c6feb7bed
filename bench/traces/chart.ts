/** TTFT per policy as cumulative curves over a logarithmic axis, in plain SVG. */
import { quantileOf } from "./bench.ts";

export interface Curve {
  name: string;
  /** Ascending. */
  ttftMs: Float64Array;
}

const WIDTH = 900;
const HEIGHT = 480;
const LEFT = 50;
const RIGHT = 690;
const TOP = 40;
const BOTTOM = 430;
const LOW_MS = 10;
const HIGH_MS = 1e6;
const POINTS = 200;
const DECADES = [10, 100, 1000, 10_000, 100_000, 1_000_000];

function x(ms: number): number {
  const clamped = Math.min(Math.max(ms, LOW_MS), HIGH_MS);
  return LEFT + ((RIGHT - LEFT) * Math.log(clamped / LOW_MS)) / Math.log(HIGH_MS / LOW_MS);
}

function y(share: number): number {
  return BOTTOM - (BOTTOM - TOP) * share;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (found) => `&#${found.charCodeAt(0)};`);
}

function axes(): string[] {
  const marks = DECADES.map((ms) => {
    const label = ms < 1000 ? `${ms} ms` : `${ms / 1000} s`;
    return (
      `<path d="M${x(ms).toFixed(1)} ${TOP}V${BOTTOM}" stroke="#ddd"/>` +
      `<text x="${x(ms).toFixed(1)}" y="${BOTTOM + 18}" text-anchor="middle">${label}</text>`
    );
  });
  const shares = [0, 0.25, 0.5, 0.75, 0.9, 1].map(
    (share) =>
      `<path d="M${LEFT} ${y(share)}H${RIGHT}" stroke="#ddd"/>` +
      `<text x="${LEFT - 6}" y="${y(share) + 4}" text-anchor="end">${share * 100} %</text>`,
  );
  return [...marks, ...shares];
}

function curve({ name, ttftMs }: Curve, index: number, count: number): string {
  const isOurs = name === "gridpoint";
  const color = isOurs ? "#000" : `hsl(${Math.round((index * 360) / count)} 70% 45%)`;
  const width = isOurs ? 3 : 1.5;
  const points = Array.from({ length: POINTS + 1 }, (_, step) => {
    const share = step / POINTS;
    return `${x(quantileOf(ttftMs, share)).toFixed(1)} ${y(share).toFixed(1)}`;
  });
  const legendY = TOP + 20 * index + 10;
  return (
    `<path d="M${points.join("L")}" fill="none" stroke="${color}" stroke-width="${width}"/>` +
    `<path d="M${RIGHT + 12} ${legendY}h20" stroke="${color}" stroke-width="${width}"/>` +
    `<text x="${RIGHT + 38}" y="${legendY + 4}">${escaped(name)}</text>`
  );
}

export function chartOf(title: string, curves: Curve[]): string {
  const drawn = curves.filter(({ ttftMs }) => ttftMs.length > 0);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}"`,
    ' font-family="sans-serif" font-size="12">',
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${LEFT}" y="22" font-size="14">${escaped(title)}</text>`,
    ...axes(),
    ...drawn.map((one, index) => curve(one, index, drawn.length)),
    "</svg>\n",
  ].join("\n");
}
