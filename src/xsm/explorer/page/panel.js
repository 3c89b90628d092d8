// What is known of the chosen place: values of the day, charts of both depths, stations with scores.
import { number, position, dateText, unit } from "xsm/colours";
import { Chart } from "xsm/chart";
import { source } from "xsm/source";

const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#3d3d9e", "#56b4e9", "#7f2704"];
const DOTS = ["#1b1f24", "#7a3e9d", "#a40e26", "#00695c"];
const TITLES = { surface: "Surface", subsurface: "Subsurface", other: "Soil moisture" };
const $ = (id) => document.getElementById(id);
const cell = (text, kind = "td", name = "") => { const node = document.createElement(kind); node.textContent = text; if (name) node.className = name; return node; };
// A product without its depth: "5 cm, scenario 2" and "25 cm, scenario 2" are of one kind and have one colour.
export const stem = (label) => label.replace(/\d+(?:[-–]\d+)?\s*cm,?\s*/, "").trim();

export class Panel {
  constructor(about, events) {
    Object.assign(this, { about, events, series: new Map(), rows: [], hidden: new Set(), usual: null, place: null, asked: 0 });
    this.products = about.products.filter((p) => p.moisture);
    this.kinds = [...new Set(this.products.map((p) => stem(p.label)))];
    this.charts = {};
    const first = Math.min(...about.products.map((p) => p.days[0]));
    this.every = [first, Math.max(...about.products.map((p) => p.days.at(-1)))];
    this.span = this.every;
    $("no-stations").textContent = about.stations.length ? "" : "No stations were given: add a file of stations to the command.";
  }

  colour(product) { return COLOURS[Math.max(this.kinds.indexOf(stem(product.label)), 0) % COLOURS.length]; }
  layer(product) { return product.moisture ? product.layer || "other" : product.key; }
  name(layer) { return TITLES[layer] ?? this.about.products.find((p) => p.key === layer).label; }

  chart(layer) {
    if (!this.charts[layer]) {
      const units = unit(this.about.products.find((p) => this.layer(p) === layer)?.units ?? "m3 m-3");
      const chart = new Chart(`${this.name(layer)}${units ? ` (${units})` : ""}`, units, { day: this.events.day, span: (span) => this.setSpan(span) });
      this.charts[layer] = chart;
    }
    return this.charts[layer];
  }

  setSpan(span) {
    this.span = span ?? this.every;
    this.render();
    this.events.span(span);
  }

  // Read everything about a place; each part is drawn when it arrives, the product of the map first.
  async choose(lon, lat, current) {
    const number = ++this.asked;
    Object.assign(this, { place: [lon, lat], series: new Map(), rows: [], usual: null });
    $("place").textContent = position(lon, lat);
    $("position").value = `${lat.toFixed(3)}, ${lon.toFixed(3)}`;
    $("hint").hidden = true;
    $("panel").hidden = false;
    const order = [...this.products].sort((a, b) => (b.key === current.key) - (a.key === current.key) || (b.layer === current.layer) - (a.layer === current.layer));
    const extra = current.moisture ? [] : [current];
    const fail = (error) => { if (number === this.asked) this.events.error(error); };
    await Promise.all([...extra, ...order].map((p) => this.read(p).catch(fail)));
    if (number !== this.asked) return;
    if (!this.series.size) { $("hint").hidden = false; $("hint").textContent = "No map covers this place."; $("panel").hidden = true; return; }
    await Promise.all([this.compare(current), this.near(lon, lat, number)].map((p) => p.catch(fail)));
  }

  async read(product) {
    const number = this.asked;
    const series = await source.series(product.key, ...this.place);
    if (number !== this.asked || !series.values) return;
    this.series.set(product.key, { product, ...series });
    this.render();
  }

  // A product comes onto the map: what is usual of it, or its series where it is no soil moisture.
  async compare(product) {
    if (!this.place) return;
    if (!product.moisture) return this.series.has(product.key) ? undefined : this.read(product);
    const number = this.asked;
    const usual = await source.usual(product.key, ...this.place);
    if (number !== this.asked) return;
    this.usual = usual.mean ? { product, days: product.days, ...usual } : null;
    this.render();
  }

  async near(lon, lat, number) {
    if (!this.about.stations.length) return;
    $("no-stations").textContent = "Comparing with stations…";
    const rows = await source.stations(lon, lat).catch((error) => { $("no-stations").textContent = ""; throw error; });
    if (number !== this.asked) return;
    this.rows = rows;
    $("no-stations").textContent = rows.length ? rows.map((r) => r.remark).find(Boolean) ?? "" : "No station lies within 25 km.";
    this.render();
  }

  setDay(day) {
    this.day = day;
    for (const chart of Object.values(this.charts)) chart.setDay(day);
    if (this.place) this.values();
  }

  dots() {
    return this.rows.flatMap((row, i) => Object.entries(row.series ?? {}).map(([layer, s]) => ({
      key: `${row.station}\n${layer}`, layer, label: `${row.station}, ${row.km} km`, short: row.station, colour: DOTS[i % DOTS.length], ...s,
    })));
  }

  render() {
    const order = this.about.products.map((p) => p.key);
    const lines = [...this.series.values()].sort((a, b) => order.indexOf(a.product.key) - order.indexOf(b.product.key)).map((s) => ({
      key: s.product.key, layer: this.layer(s.product), label: s.product.label, short: stem(s.product.label) || s.product.label, colour: this.colour(s.product),
      days: s.product.days, values: s.values, low: s.low, high: s.high,
    }));
    const dots = this.dots();
    const layers = [...Object.keys(TITLES), ...lines.map((s) => s.layer)].filter((l, i, all) => all.indexOf(l) === i && [...lines, ...dots].some((s) => s.layer === l));
    for (const layer of Object.keys(this.charts)) if (!layers.includes(layer)) delete this.charts[layer];
    const nodes = layers.map((layer) => this.chart(layer).node);
    if (nodes.length !== $("charts").children.length || nodes.some((n, i) => n !== $("charts").children[i])) $("charts").replaceChildren(...nodes);
    for (const layer of layers) {
      const chart = this.chart(layer);
      const shown = (list) => list.filter((s) => s.layer === layer && !this.hidden.has(s.key));
      Object.assign(chart, { day: this.day, series: shown(lines), dots: shown(dots), span: this.span, usual: this.usual && this.layer(this.usual.product) === layer ? this.usual : null });
      chart.draw();
    }
    [this.lines, this.points, this.layers] = [lines, dots, layers];
    $("chart-note").hidden = !lines.length;
    this.values();
    this.scores();
    this.events.ready(lines.length > 0);
  }

  values() {
    $("values-title").textContent = `Values on ${dateText(this.day)}`;
    const focused = document.activeElement?.dataset?.key;
    const order = this.layers ?? [];
    const all = [...(this.lines ?? []), ...(this.points ?? [])].sort((a, b) => order.indexOf(a.layer) - order.indexOf(b.layer));
    $("values").replaceChildren(...all.map((s) => {
      const i = s.days.indexOf(this.day);
      const row = document.createElement("tr");
      const name = cell("", "th");
      name.scope = "row";
      const label = document.createElement("label");
      const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: !this.hidden.has(s.key) });
      box.dataset.key = s.key;
      box.addEventListener("change", () => { this.hidden[box.checked ? "delete" : "add"](s.key); this.render(); });
      const swatch = document.createElement("span");
      swatch.className = this.points.includes(s) ? "swatch dot" : "swatch";
      swatch.style.background = s.colour;
      label.append(box, swatch, this.points.includes(s) ? `${s.label}, ${this.name(s.layer).toLowerCase()}` : s.label);
      name.append(label);
      const ends = s.low && i >= 0 && s.low[i] !== null ? `${number(s.low[i])} to ${number(s.high[i])}` : "";
      row.append(name, cell(i < 0 ? "–" : number(s.values[i]), "td", "number"), cell(ends, "td", "number"));
      return row;
    }));
    if (focused) [...$("values").querySelectorAll("input")].find((b) => b.dataset.key === focused)?.focus();
  }

  scores() {
    $("stations-box").hidden = !this.rows.length;
    const order = this.about.products.map((p) => p.key);
    $("stations").replaceChildren(...this.rows.flatMap((row) => {
      const scores = row.scores.length ? [...row.scores].sort((a, b) => order.indexOf(a.product) - order.indexOf(b.product)) : [null];
      const head = document.createElement("tr");
      head.append(Object.assign(cell(`${row.station}${row.network ? `, ${row.network}` : ""}, ${row.km} km away`, "th", "name"), { scope: "colgroup", colSpan: 6 }));
      return [head, ...scores.map((s) => {
        const line = document.createElement("tr");
        const product = s && this.about.products.find((p) => p.key === s.product);
        line.append(cell(s ? product?.label ?? s.product : "No score: too few days"), cell(s ? `${s.depth} cm`.replace("cm cm", "cm") : ""));
        for (const [name, digits] of [["r", 2], ["ubrmse", 3], ["bias", 3], ["n", 0]]) line.append(cell(s ? number(s[name], digits) : "", "td", "number"));
        return line;
      })];
    }));
  }
}
