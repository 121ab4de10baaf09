// Plots as SVG: bars of ratio over goal, and curves. Plain text, so that a change shows in a diff.

const FONT = 'font-family="system-ui, sans-serif" font-size="12"';
const INK = "#57606a"; // readable on white and on black
const GOOD = "#2da44e";
const BAD = "#cf222e";
const CURVES = ["#0969da", "#bf8700", "#8250df", "#1a7f37"];
const ROW = 22;
const LABELS = 560;
const BARS = 320;
const MARGIN = 70;
/** The axis of bars: a tenth of the goal to ten times the goal. */
const DECADES = 1;

/** Draws a bar for each `{ name, ratio?, goal }`: how many times its goal it reaches, on a logarithmic axis around 1. */
export function barPlot(rows) {
  const width = LABELS + BARS + MARGIN;
  const height = ROW * (rows.length + 2);
  const middle = LABELS + BARS / 2;
  const bars = rows.map(({ name, ratio, goal }, i) => {
    const y = ROW * (i + 1);
    const label = text(LABELS - 8, y + 15, name, "end");
    if (ratio === undefined) return label + text(middle + 6, y + 15, "not measured", "start");
    const reached = ratio / goal;
    const length = (Math.max(-DECADES, Math.min(DECADES, Math.log10(reached))) * BARS) / 2 / DECADES;
    const x = Math.min(middle, middle + length);
    const bar = `<rect x="${round(x)}" y="${y + 3}" width="${round(Math.max(1, Math.abs(length)))}" height="16" fill="${reached >= 1 ? GOOD : BAD}"/>\n`;
    return label + bar + text(LABELS + BARS + 6, y + 15, `${reached.toFixed(2)} ×`, "start");
  });
  const axis = [0.1, 0.2, 0.5, 1, 2, 5, 10].map((value) => {
    const x = round(middle + (Math.log10(value) * BARS) / 2 / DECADES);
    return `${line(x, ROW, x, height - ROW, value === 1 ? 1 : 0.25)}${text(x, height - 6, value, "middle")}`;
  });
  return svg(
    width,
    height,
    text(middle, 14, "ratio over goal: right of 1 it is met", "middle") + axis.join("") + bars.join(""),
  );
}

/** Draws curves `{ name, x, unit, isLog?, points }`, each in a frame of its own, two beside each other. */
export function curvePlot(series) {
  const [frameWidth, frameHeight] = [470, 260];
  const frames = series.map((curve, i) => {
    const [left, top] = [(i % 2) * frameWidth + 60, Math.floor(i / 2) * frameHeight + 40];
    return frame(curve, {
      left,
      top,
      width: frameWidth - 90,
      height: frameHeight - 100,
      colour: CURVES[i % CURVES.length],
    });
  });
  return svg(2 * frameWidth, Math.ceil(series.length / 2) * frameHeight, frames.join(""));
}

function frame({ name, x, unit, isLog, points, bend }, { left, top, width, height, colour }) {
  const scale = isLog ? Math.log10 : (value) => value;
  const [first, last] = [scale(points[0].x), scale(points.at(-1).x)];
  const highest = Math.max(...points.map(({ y }) => y));
  const atX = (value) => round(left + ((scale(value) - first) / (last - first)) * width);
  const atY = (value) => round(top + height - (value / highest) * height);
  const path = points.map((point) => `${atX(point.x)},${atY(point.y)}`).join(" ");
  const dots = points
    .map((point) => `<circle cx="${atX(point.x)}" cy="${atY(point.y)}" r="3" fill="${colour}"/>\n`)
    .join("");
  const ticks = points.map((point) => text(atX(point.x), top + height + 16, short(point.x), "middle")).join("");
  const heights = [0, 0.5, 1].map((part) => {
    const y = atY(part * highest);
    return line(left, y, left + width, y, 0.25) + text(left - 6, y + 4, short(part * highest), "end");
  });
  return [
    text(left, top - 12, `${name}: ${unit}`, "start"),
    heights.join(""),
    `<line x1="${atX(bend)}" y1="${top}" x2="${atX(bend)}" y2="${top + height}" stroke="${colour}" stroke-dasharray="4 3"/>\n`,
    `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>\n`,
    dots,
    ticks,
    text(left + width / 2, top + height + 34, x, "middle"),
  ].join("");
}

function short(number) {
  const [size, letter] = number >= 1e6 ? [1e6, "M"] : number >= 1e3 ? [1e3, "k"] : [1, ""];
  return `${Number((number / size).toPrecision(2))}${letter}`;
}

function text(x, y, content, anchor) {
  const escaped = String(content).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${round(x)}" y="${y}" text-anchor="${anchor}" fill="${INK}" ${FONT}>${escaped}</text>\n`;
}

function line(x1, y1, x2, y2, opacity) {
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${INK}" stroke-opacity="${opacity}"/>\n`;
}

function round(number) {
  return Number(number.toFixed(1));
}

function svg(width, height, content) {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">\n${content}</svg>\n`;
}
