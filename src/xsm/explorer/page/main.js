// The explorer: what is shown, in one object; every change goes through `update`, and the address keeps it.
import * as colours from "xsm/colours";
import { MapView } from "xsm/map";
import { Panel, stem } from "xsm/panel";
import { download, pageDialog, savePicture, seriesTable } from "xsm/save";
import { initial, source } from "xsm/source";

const $ = (id) => document.getElementById(id);
const RAMP_OF = { spread: "uncertainty", difference: "bias", percentile: "percentile", drought: "drought" };
const BAR_NAMES = { spread: "Standard deviation", percentile: "Percentile among the same season of all years", drought: "US Drought Monitor class" };
const PACE = 140;
const state = { product: null, other: null, day: 0, mode: "value", ranges: {} };
let about, days, map, panel, sequence = 0, playing = 0, quiet = 0;

const say = (text, stay = 6000) => {
  $("status").textContent = text;
  $("status").classList.toggle("quiet", !text || stay === 0);
  clearTimeout(quiet);
  if (stay) quiet = setTimeout(() => $("status").classList.add("quiet"), stay);
};
const fail = (error) => { stop(); say(error.message, 15000); };
const product = (key) => about.products.find((p) => p.key === key);
const option = (value, text) => Object.assign(document.createElement("option"), { value, textContent: text });

const groups = (select, list) => {
  const names = [...new Set(list.map((p) => p.group))];
  select.replaceChildren(...names.map((name) => {
    const group = Object.assign(document.createElement("optgroup"), { label: name });
    group.append(...list.filter((p) => p.group === name).map((p) => option(p.key, p.label)));
    return group;
  }));
};

const counterpart = (layer) => {
  const same = about.products.filter((p) => p.layer === layer);
  return same.find((p) => stem(p.label) === stem(state.product.label)) ?? same[0];
};
const others = () => about.products.filter((p) => p.key !== state.product.key && p.units === state.product.units && !p.classes.length);

// What the mode needs: kinds of maps, and the ramp, name and unit of the colours.
const style = () => {
  const { product: p, mode, other } = state;
  const ramp = RAMP_OF[mode] ?? (p.style || "soil_moisture");
  const units = ["percentile", "drought"].includes(mode) ? "%" : colours.unit(p.units);
  const name = mode === "difference" ? `${p.label} minus ${other?.label}` : BAR_NAMES[mode] ?? p.label;
  return { ramp, units, name, fixed: ["percentile", "drought"].includes(ramp), key: mode === "value" ? p.key : `${mode} ${ramp}` };
};

const limits = (image) => {
  const { ramp, key, fixed } = style();
  const stops = about.ramps[ramp];
  if (fixed) return [stops[0][0], stops.at(-1)[0]];
  if (state.ranges[key]) return state.ranges[key];
  if (state.mode === "value" && !state.product.style) return fitted(image) ?? [0, 1];
  return [stops[0][0], stops.at(-1)[0]];
};

// Limits that contain 98 percent of the values of the day; those of differences lie around zero.
const fitted = (image) => {
  const values = image ? Array.from(image.values).filter(Number.isFinite).sort((a, b) => a - b) : [];
  if (!values.length) return null;
  const [low, high] = [values[Math.floor(0.01 * (values.length - 1))], values[Math.ceil(0.99 * (values.length - 1))]];
  const edge = Math.max(Math.abs(low), Math.abs(high)) || 1;
  if (style().ramp === "bias") return [-edge, edge];
  return [style().ramp === "uncertainty" ? 0 : low, high > low ? high : low + (Math.abs(low) || 1) * 0.1];
};

const paint = (image) => {
  const pixels = new Uint32Array(image ? image.values.length : 0);
  const { ramp } = style();
  const classes = state.mode === "value" && state.product.classes.length ? state.product.classes : null;
  const [low, high] = limits(image);
  if (image && classes) colours.paintClasses(classes, image.values, pixels);
  else if (image) colours.paint(colours.table(colours.stretched(about.ramps[ramp], low, high), low, high), image.values, pixels);
  map.setImage(image, pixels);
  bar(low, high, classes);
};

const bar = (low, high, classes) => {
  const { ramp, units, name, fixed } = style();
  const canvas = $("bar");
  const width = (canvas.width = canvas.clientWidth || 600);
  const context = canvas.getContext("2d");
  const stops = colours.stretched(about.ramps[ramp], low, high);
  let ticks;
  if (classes) {
    classes.forEach(([, colour], i) => { context.fillStyle = colour; context.fillRect((i * width) / classes.length, 0, width / classes.length + 1, 14); });
    ticks = classes.map(([, , word], i) => [(i + 0.5) / classes.length, word]);
  } else if (state.mode === "drought") {
    const { classes: names, colours: hues } = about.drought;
    const all = [...names.map((n, i) => [n, hues[i + 1]]).reverse(), ["none", hues[0]]];
    all.forEach(([, hue], i) => { context.fillStyle = hue; context.fillRect((i * width) / all.length, 0, width / all.length + 1, 14); });
    ticks = all.map(([text], i) => [(i + 0.5) / all.length, text]);
  } else {
    for (let x = 0; x < width; x++) { context.fillStyle = `rgb(${colours.colourAt(stops, low + ((high - low) * x) / (width - 1))})`; context.fillRect(x, 0, 1, 14); }
    const { ticks: at, digits } = colours.ticksBetween(low, high, Math.max(3, Math.min(8, width / 80)));
    ticks = fixed ? [2, 5, 10, 20, 30, 70, 80, 90, 95, 98].filter((v) => width > 500 || ![5, 95].includes(v)).map((v) => [v / 100, String(v)]) : at.map((v) => [(v - low) / (high - low), colours.number(v, digits)]);
  }
  $("ticks").replaceChildren(...ticks.map(([share, text]) => {
    const node = document.createElement("span");
    node.textContent = text;
    node.style.left = `${100 * share}%`;
    if (share > 0.97) node.className = "end";
    return node;
  }));
  const text = `${name}${units && state.mode !== "drought" ? ` (${units})` : ""}`;
  $("bar-name").textContent = text;
  $("limits").hidden = Boolean(fixed || classes);
  const digits = colours.digitsFor(high - low);
  [$("low").value, $("high").value] = [low.toFixed(digits), high.toFixed(digits)];
  bar.current = { canvas, ticks, name: text };
};

// The map of the state: read what it needs, unless a newer one is asked for meanwhile.
const show = async () => {
  const number = ++sequence;
  const { product: p, mode, other, day } = state;
  const busy = setTimeout(() => { $("busy").hidden = false; $("busy").textContent = ["percentile", "drought"].includes(mode) ? "Ranking all years…" : "Reading…"; }, 250);
  const read = async (one, kind) => {
    const grid = about.grids[one.grid];
    const window = map.window(grid);
    const answer = await source.day(one.key, day, kind, window);
    return answer && { ...answer, grid, window };
  };
  try {
    const kind = { spread: "spread", percentile: "percentile", drought: "percentile" }[mode] ?? "value";
    const [image, second] = await Promise.all([read(p, kind), mode === "difference" && other ? read(other, "value") : null]);
    if (number !== sequence) return;
    if (image && mode === "difference") image.values = second ? minus(image, second) : new Float32Array(image.values.length).fill(NaN);
    paint(image);
    describe(image);
  } catch (error) {
    if (number === sequence) fail(error);
  } finally {
    clearTimeout(busy);
    if (number === sequence) $("busy").hidden = true;
  }
};

// One map minus another; where the grids differ, the other's nearest cell counts.
const minus = (image, second) => {
  if (image.grid === second.grid && String(image.window) === String(second.window)) return image.values.map((v, i) => v - second.values[i]);
  const [a, b] = [map.edges(image), map.edges(second)];
  const rows = a.rows.map(([s, n]) => b.rows.findIndex(([low, high]) => (s + n) / 2 >= low && (s + n) / 2 <= high));
  const cols = Array.from({ length: image.cols }, (_, i) => Math.floor(((a.west + ((i + 0.5) * (a.east - a.west)) / image.cols - b.west) / (b.east - b.west)) * second.cols));
  const inside = (row, col) => row >= 0 && col >= 0 && col < second.cols;
  return image.values.map((v, i) => {
    const [row, col] = [rows[Math.floor(i / image.cols)], cols[i % image.cols]];
    return inside(row, col) ? v - second.values[row * second.cols + col] : NaN;
  });
};

const describe = (image) => {
  const { name, units } = style();
  const values = image ? image.values.filter(Number.isFinite) : [];
  const mean = values.length ? colours.number(values.reduce((a, b) => a + b, 0) / values.length) : "";
  $("map").dataset.shown = `${state.product.key} ${state.mode} ${colours.toISO(state.day)}`;
  const text = values.length ? `mean ${mean} ${units}` : "no value on this day";
  $("map").setAttribute("aria-label", `Map of ${state.mode === "value" ? state.product.label : `${state.product.label}: ${name}`} on ${colours.dateText(state.day)}, ${text}`);
  if (!image || !values.length) say(`${state.product.label} has no value on ${colours.dateText(state.day)}.`, 3000);
};

const controls = () => {
  const p = state.product;
  $("product").value = p.key;
  for (const box of $("depth").querySelectorAll("input")) { box.checked = box.value === p.layer; box.disabled = !about.products.some((q) => q.layer === box.value); }
  $("depth").hidden = !about.products.some((q) => q.layer);
  const possible = { value: true, spread: p.spread, difference: others().length > 0, percentile: p.moisture && !p.no_percentiles, drought: p.moisture && !p.no_percentiles };
  for (const o of $("mode").options) { o.disabled = !possible[o.value]; o.title = ["percentile", "drought"].includes(o.value) ? p.no_percentiles : ""; }
  if (!possible[state.mode]) state.mode = "value";
  $("mode").value = state.mode;
  $("other-label").hidden = state.mode !== "difference";
  if (state.mode === "difference") {
    const list = others();
    groups($("other"), list);
    if (!list.includes(state.other)) state.other = list.find((q) => q.layer === p.layer) ?? list[0];
    $("other").value = state.other.key;
  }
  const i = days.indexOf(state.day);
  $("slider").value = i;
  $("slider").setAttribute("aria-valuetext", colours.dateText(state.day));
  $("date").value = colours.toISO(state.day);
  [$("before").disabled, $("after").disabled] = [i <= 0, i >= days.length - 1];
};

const update = (change = {}) => {
  const before = state.product;
  Object.assign(state, change);
  controls();
  panel.setDay(state.day);
  if (state.product !== before) panel.compare(state.product).catch(fail);
  remember();
  return show();
};

const nearest = (day) => days.reduce((a, b) => (Math.abs(b - day) < Math.abs(a - day) ? b : a));
const toIndex = (i) => update({ day: days[Math.min(Math.max(i, 0), days.length - 1)] });

// The address after "#": everything that is shown.
const remember = () => {
  const { lon, lat, zoom } = map.view;
  const entries = {
    p: state.product.key, d: colours.toISO(state.day), m: state.mode, ...(state.mode === "difference" && { o: state.other.key }),
    ...(zoom > 1 && { v: [lon.toFixed(3), lat.toFixed(3), zoom.toFixed(2)].join(",") }),
    ...(panel.place && { at: panel.place.map((v) => v.toFixed(4)).join(",") }),
    ...(panel.span !== panel.every && { s: panel.span.map(colours.toISO).join(",") }),
    ...(state.ranges[style().key] && { r: state.ranges[style().key].join(",") }),
  };
  state.hash = new URLSearchParams(entries).toString();
  const { v: _view, s: _span, ...rest } = entries; // a saved page is a window of its own
  state.seen = new URLSearchParams(rest).toString();
  try { history.replaceState(null, "", `#${state.hash}`); } catch { /* too many at once, or a page from a file */ }
};

const recall = (text) => {
  const entries = new URLSearchParams(text);
  const numbers = (name) => entries.get(name)?.split(",").map(Number).filter(Number.isFinite) ?? [];
  state.product = product(entries.get("p")) ?? about.products[0];
  state.other = product(entries.get("o")) ?? null;
  state.day = nearest(colours.toDay(entries.get("d") ?? "") || state.product.days.at(-1));
  state.mode = entries.get("m") ?? "value";
  if (numbers("v").length === 3) [map.view.lon, map.view.lat, map.view.zoom] = numbers("v");
  if (numbers("r").length === 2) state.ranges[style().key] = numbers("r");
  const span = entries.get("s")?.split(",").map(colours.toDay) ?? [];
  if (span.length === 2 && span.every(Number.isFinite)) panel.span = span;
  return numbers("at").length === 2 ? numbers("at") : null;
};

const choose = (lon, lat) => {
  map.place = [lon, lat];
  map.draw();
  say(`Place ${colours.position(lon, lat)}`, 0);
  const done = panel.choose(lon, lat, state.product).catch(fail);
  remember();
  return done;
};

const stop = () => { playing = 0; $("play").setAttribute("aria-pressed", "false"); $("play").textContent = "▶"; $("play").setAttribute("aria-label", "Play the days"); };
const play = async () => {
  const run = (playing = Date.now());
  $("play").setAttribute("aria-pressed", "true");
  $("play").textContent = "❚❚";
  $("play").setAttribute("aria-label", "Stop");
  while (playing === run) {
    const pause = new Promise((done) => setTimeout(done, PACE));
    const i = days.indexOf(state.day) + 1;
    await Promise.all([toIndex(i < days.length ? i : 0), pause]);
  }
};

const listen = () => {
  $("product").addEventListener("change", () => update({ product: product($("product").value) }));
  $("depth").addEventListener("change", (event) => update({ product: counterpart(event.target.value) }));
  $("mode").addEventListener("change", () => update({ mode: $("mode").value }));
  $("other").addEventListener("change", () => update({ other: product($("other").value) }));
  $("slider").addEventListener("input", () => { stop(); toIndex(Number($("slider").value)); });
  $("before").addEventListener("click", () => toIndex(days.indexOf(state.day) - 1));
  $("after").addEventListener("click", () => toIndex(days.indexOf(state.day) + 1));
  $("date").addEventListener("change", () => { if ($("date").value) update({ day: nearest(colours.toDay($("date").value)) }); });
  $("play").addEventListener("click", () => (playing ? stop() : play()));
  const range = (values) => { if (values && values[1] > values[0]) { state.ranges[style().key] = values; paint(map.image); remember(); } };
  for (const id of ["low", "high"]) $(id).addEventListener("change", () => range([Number($("low").value), Number($("high").value)]));
  $("fit").addEventListener("click", () => range(fitted(map.image)));
  $("in").addEventListener("click", () => map.zoomBy(1.6));
  $("out").addEventListener("click", () => map.zoomBy(1 / 1.6));
  $("whole").addEventListener("click", () => map.whole());
  $("goto").addEventListener("submit", (event) => {
    event.preventDefault();
    const [lat, lon] = $("position").value.split(/[,;\s]+/).map(Number);
    if (Math.abs(lat) <= 90 && Math.abs(lon) <= 360) choose(lon, lat);
    else say(`"${$("position").value}" is no place: give latitude and longitude in degrees, such as 38.5, -98.2.`);
  });
  $("link").addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(location.href); say("The link is copied: it opens this view while the explorer runs."); }
    catch { say(location.href, 20000); }
  });
  $("png").addEventListener("click", () => savePicture(map, `${state.product.label}${state.mode === "value" ? "" : `: ${style().name}`}, ${colours.dateText(state.day)}`, bar.current, `${state.product.key}-${state.mode}-${colours.toISO(state.day)}`));
  $("csv").addEventListener("click", () => download(new Blob([seriesTable(panel.lines, panel.points)], { type: "text/csv" }), `series_${panel.place[1].toFixed(3)}_${panel.place[0].toFixed(3)}.csv`));
  new ResizeObserver(() => { if (map.image) paint(map.image); }).observe($("bar"));
};

const start = async () => {
  about = await source.about();
  days = [...new Set(about.products.flatMap((p) => p.days))].sort((a, b) => a - b);
  document.title = `${about.title}: soil moisture explorer`;
  $("title").textContent = `Soil moisture: ${about.title}`;
  let later = 0;
  const moved = () => { clearTimeout(later); later = setTimeout(() => { remember(); if (map.window(about.grids[state.product.grid])) show(); }, 200); };
  map = new MapView($("map"), {
    pick: choose, move: moved, leave: () => { $("readout").textContent = ""; },
    hover: (lon, lat, station) => {
      const value = map.valueAt(lon, lat);
      const { units } = style();
      $("readout").textContent = `${colours.position(lon, lat)}: ${colours.number(value, units === "%" ? 1 : 3)} ${Number.isNaN(value) ? "" : units}${station ? ` · ${station.station}` : ""}`;
    },
  });
  const edges = (name) => about.grids.flatMap((g) => g[name].flat());
  const ends = (values) => values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  const [[west, east], [south, north]] = [ends(edges("lon")), ends(edges("lat"))];
  map.setBox([west, south, east, north]);
  map.setLines(about.lines);
  map.stations = about.stations;
  panel = new Panel(about, {
    day: (day) => update({ day: nearest(day) }), span: () => remember(), error: fail, ready: (some) => { $("csv").disabled = !some; },
  });
  groups($("product"), about.products);
  [$("slider").max, $("date").min, $("date").max] = [days.length - 1, colours.toISO(days[0]), colours.toISO(days.at(-1))];
  $("page").hidden = source.saved;
  $("link").hidden = source.saved;
  const place = recall(location.hash.slice(1) || initial);
  listen();
  if (!source.saved) pageDialog(about, () => ({ ...state, box: map.shown() }), [days[0], days.at(-1)], say);
  window.addEventListener("hashchange", () => { const at = recall(location.hash.slice(1)); update(); if (at) choose(...at); });
  await update();
  document.documentElement.dataset.ready = "true";
  if (place) await choose(...place);
};

start().catch(fail);
