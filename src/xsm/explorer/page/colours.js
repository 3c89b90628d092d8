// Colour scales, and how numbers, dates and places are written.

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
export const MISSING = 65535;

export const colourAt = (stops, value) => {
  let i = stops.findIndex(([v]) => v >= value);
  if (i < 0) i = stops.length - 1;
  if (i === 0) return rgb(stops[0][1]);
  const [[v0, c0], [v1, c1]] = [stops[i - 1], stops[i]];
  const share = Math.min(Math.max((value - v0) / (v1 - v0 || 1), 0), 1);
  const [a, b] = [rgb(c0), rgb(c1)];
  return a.map((v, k) => Math.round(v + (b[k] - v) * share));
};

// Stops of a ramp moved to other limits.
export const stretched = (stops, low, high) => {
  const [first, last] = [stops[0][0], stops.at(-1)[0]];
  return stops.map(([v, c]) => [low + ((high - low) * (v - first)) / (last - first), c]);
};

// A table of 32-bit colours (alpha, blue, green, red) between two values.
export const table = (stops, low, high, size = 2048) => {
  const colours = new Uint32Array(size);
  for (let i = 0; i < size; i++) {
    const [r, g, b] = colourAt(stops, low + ((high - low) * i) / (size - 1));
    colours[i] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  return { low, high, colours };
};

export const paint = ({ low, high, colours }, values, pixels) => {
  const last = colours.length - 1;
  const factor = last / (high - low);
  for (let i = 0; i < values.length; i++) {
    const v = values[i];
    pixels[i] = v === v ? colours[Math.min(Math.max(Math.round((v - low) * factor), 0), last)] : 0;
  }
};

export const paintClasses = (classes, values, pixels) => {
  const colours = new Map(classes.map(([v, c]) => { const [r, g, b] = rgb(c); return [v, (255 << 24) | (b << 16) | (g << 8) | r]; }));
  for (let i = 0; i < values.length; i++) pixels[i] = colours.get(values[i]) ?? 0;
};

const DAY = 86400000;
export const toDay = (text) => Math.round(Date.parse(`${text}T00:00:00Z`) / DAY);
export const toISO = (day) => new Date(day * DAY).toISOString().slice(0, 10);
export const dateText = (day) =>
  new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" }).format(day * DAY);
export const year = (day) => new Date(day * DAY).getUTCFullYear();

export const number = (value, digits = 3) =>
  value === null || value === undefined || Number.isNaN(value) ? "–" : value.toFixed(digits).replace("-", "−");
export const digitsFor = (span) => Math.min(Math.max(0, 2 - Math.floor(Math.log10(span || 1))), 5);
export const unit = (text) => text.replace(/\bm3 m-3\b/, "m³ m⁻³").replace(/-(\d)/g, (_, d) => "⁻" + "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]).replace(/^1$/, "");
export const position = (lon, lat) =>
  `${Math.abs(lat).toFixed(2)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(lon).toFixed(2)}° ${lon < 0 ? "W" : "E"}`;

// Round numbers between two values.
export const ticksBetween = (low, high, count) => {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((m) => m * power >= rough * 0.999);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) ticks.push(k * step);
  return { ticks, digits: Math.max(0, Math.ceil(-Math.log10(step) - 1e-9) + (Math.abs(step / power - 2.5) < 1e-9 && step < 10 ? 1 : 0)) };
};
