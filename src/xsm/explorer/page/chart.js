// A chart of daily series: lines with bands, dots of stations, what is usual, and a cursor on the chosen day.
import { number, ticksBetween, toDay, toISO, dateText } from "xsm/colours";

const NS = "http://www.w3.org/2000/svg";
const GAP = 4; // days without a value over which a line goes on
const LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 22, HEIGHT = 210;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const element = (name, attributes, ...children) => {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};

// First days of months or years between two days, at most so many.
const timeTicks = (first, last, most) => {
  const [from, to] = [new Date(first * 864e5), new Date(last * 864e5)];
  const months = (to.getUTCFullYear() - from.getUTCFullYear()) * 12 + to.getUTCMonth() - from.getUTCMonth();
  if (months < 2) {
    const { ticks } = ticksBetween(first, last, most);
    return [...new Set(ticks.map(Math.round))].map((d) => [d, `${new Date(d * 864e5).getUTCDate()} ${MONTHS[new Date(d * 864e5).getUTCMonth()]}`]);
  }
  const step = [1, 2, 3, 6, 12, 24, 60, 120].find((s) => months / s <= most) ?? 240;
  const out = [];
  for (let m = Math.ceil((from.getUTCFullYear() * 12 + from.getUTCMonth()) / step) * step; ; m += step) {
    const day = toDay(`${String(Math.floor(m / 12)).padStart(4, "0")}-${String((m % 12) + 1).padStart(2, "0")}-01`);
    if (day > last) return out;
    if (day >= first) out.push([day, m % 12 ? `${MONTHS[m % 12]}${step < 6 && months < 12 ? "" : ` ’${String(Math.floor(m / 12)).slice(2)}`}` : String(Math.floor(m / 12))]);
  }
};

export class Chart {
  constructor(title, units, events) {
    Object.assign(this, { title, units, events, series: [], dots: [], usual: null, span: null, day: 0 });
    this.svg = element("svg", { role: "img" });
    this.clip = `plot-${title.replace(/\W+/g, "-")}`;
    this.node = document.createElement("figure");
    this.node.className = "chart";
    const heading = document.createElement("h3");
    heading.textContent = title;
    this.node.append(heading, this.svg);
    new ResizeObserver(() => this.draw()).observe(this.node);
    this.listen();
  }

  x(day) { return LEFT + ((day - this.span[0]) / (this.span[1] - this.span[0] || 1)) * (this.width - LEFT - RIGHT); }
  dayAt(x) { return Math.round(this.span[0] + ((x - LEFT) / (this.width - LEFT - RIGHT)) * (this.span[1] - this.span[0])); }
  y(value) { return TOP + ((this.high - value) / (this.high - this.low)) * (HEIGHT - TOP - BOTTOM); }

  line(days, values) {
    let text = "", pen = false, before = 0;
    for (let i = 0; i < days.length; i++) {
      if (values[i] === null || values[i] === undefined || days[i] < this.span[0] - 1 || days[i] > this.span[1] + 1) continue;
      const joined = pen && days[i] - before <= GAP;
      text += `${joined ? "L" : "M"}${this.x(days[i]).toFixed(1)} ${this.y(values[i]).toFixed(1)}${joined ? "" : "h0"}`;
      [pen, before] = [true, days[i]];
    }
    return text;
  }

  band(days, low, high) {
    let text = "", run = [];
    const close = () => {
      if (run.length > 1) {
        const point = (i, values) => `${this.x(days[i]).toFixed(1)} ${this.y(values[i]).toFixed(1)}`;
        text += `M${run.map((i) => point(i, low)).join("L")}L${run.reverse().map((i) => point(i, high)).join("L")}Z`;
      }
      run = [];
    };
    for (let i = 0; i < days.length; i++) {
      const absent = low[i] === null || high[i] === null;
      if (days[i] < this.span[0] - 1 || days[i] > this.span[1] + 1 || (run.length && days[i] - days[run.at(-1)] > GAP)) close();
      if (!absent && days[i] >= this.span[0] - 1 && days[i] <= this.span[1] + 1) run.push(i);
    }
    close();
    return text;
  }

  limits() {
    let [low, high] = [Infinity, -Infinity];
    const look = (days, values) => days.forEach((d, i) => {
      const v = values[i];
      if (v !== null && v !== undefined && d >= this.span[0] && d <= this.span[1]) { if (v < low) low = v; if (v > high) high = v; }
    });
    for (const s of [...this.series, ...this.dots]) { look(s.days, s.values); if (s.low) look(s.days, s.high); }
    const least = low;
    for (const s of this.series) if (s.low) look(s.days, s.low);
    if (least >= 0) low = Math.max(low, 0);
    if (low > high) [low, high] = [0, 1];
    const { ticks } = ticksBetween(low, high === low ? low + 0.1 : high, 4);
    const step = ticks.length > 1 ? ticks[1] - ticks[0] : (high - low) / 4 || 0.1;
    [this.low, this.high] = [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step || step];
  }

  draw() {
    this.width = this.svg.clientWidth;
    if (!this.width || !this.span) return;
    this.limits();
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${HEIGHT}`);
    const parts = [];
    const { ticks, digits } = ticksBetween(this.low, this.high, 4);
    for (const t of ticks) {
      parts.push(element("line", { x1: LEFT, x2: this.width - RIGHT, y1: this.y(t), y2: this.y(t), stroke: "#e4e8ec" }),
        element("text", { x: LEFT - 6, y: this.y(t) + 4, "text-anchor": "end" }, number(t, digits)));
    }
    for (const [day, text] of timeTicks(...this.span, Math.max(2, Math.floor(this.width / 75)))) {
      parts.push(element("line", { x1: this.x(day), x2: this.x(day), y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4, stroke: "#57606a" }),
        element("text", { x: this.x(day), y: HEIGHT - 5, "text-anchor": this.x(day) > this.width - 30 ? "end" : "middle" }, text));
    }
    const plot = element("g", { "clip-path": `url(#${this.clip})` });
    const long = this.span[1] - this.span[0] > 900;
    if (this.usual?.mean) {
      plot.append(element("path", { d: this.band(this.usual.days, this.usual.low, this.usual.high), fill: "#57606a", opacity: 0.28, class: "usual" }),
        element("path", { d: this.line(this.usual.days, this.usual.mean), fill: "none", stroke: "#57606a", "stroke-width": 1.2 }));
    }
    for (const s of this.series) if (s.low) plot.append(element("path", { d: this.band(s.days, s.low, s.high), fill: s.colour, opacity: 0.2, class: "band" }));
    for (const s of this.dots) {
      const path = s.days.map((d, i) => (s.values[i] === null || d < this.span[0] || d > this.span[1] ? "" : `M${this.x(d).toFixed(1)} ${this.y(s.values[i]).toFixed(1)}h0`)).join("");
      plot.append(element("path", { d: path, fill: "none", stroke: s.colour, opacity: long ? 0.45 : 0.8, "stroke-width": long ? 1.8 : 3.2, "stroke-linecap": "round", class: "station" }));
    }
    for (const s of this.series) plot.append(element("path", { d: this.line(s.days, s.values), fill: "none", stroke: s.colour, "stroke-width": long ? 1 : 1.6, "stroke-linejoin": "round", "stroke-linecap": "round", class: "series" }));
    const area = element("clipPath", { id: this.clip }, element("rect", { x: LEFT, y: TOP, width: Math.max(this.width - LEFT - RIGHT, 0), height: HEIGHT - TOP - BOTTOM }));
    parts.push(area, plot);
    parts.push(element("line", { x1: LEFT, x2: this.width - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM, stroke: "#57606a" }));
    this.cursor = element("line", { y1: TOP, y2: HEIGHT - BOTTOM, stroke: "#c4007a", "stroke-width": 1.5, class: "day" });
    this.choice = element("rect", { y: TOP, height: HEIGHT - TOP - BOTTOM, width: 0, fill: "#0969da", opacity: 0.15 });
    this.label = element("text", { y: TOP + 9, class: "cursor-text" });
    this.svg.replaceChildren(...parts, this.choice, this.cursor, this.label);
    this.svg.setAttribute("aria-label", `${this.title}, ${dateText(this.span[0])} to ${dateText(this.span[1])}: ${[...this.series, ...this.dots].map((s) => s.label).join(", ") || "no series"}`);
    this.setDay(this.day);
  }

  setDay(day) {
    this.day = day;
    if (!this.cursor) return;
    const inside = day >= this.span[0] && day <= this.span[1];
    this.cursor.setAttribute("visibility", inside ? "visible" : "hidden");
    if (inside) { this.cursor.setAttribute("x1", this.x(day)); this.cursor.setAttribute("x2", this.x(day)); }
  }

  show(x) {
    const day = this.dayAt(x);
    const known = [...this.series, ...this.dots].map((s) => { const v = s.values[s.days.indexOf(day)]; return v === null || v === undefined ? "" : `${s.short} ${number(v)}`; });
    this.label.textContent = [toISO(day), ...known.filter(Boolean)].join("  ");
    const right = x > this.width / 2;
    this.label.setAttribute("text-anchor", right ? "end" : "start");
    this.label.setAttribute("x", right ? this.width - RIGHT - 2 : LEFT + 4);
  }

  listen() {
    let start = null;
    const at = (event) => Math.min(Math.max(event.clientX - this.svg.getBoundingClientRect().left, LEFT), this.width - RIGHT);
    this.svg.addEventListener("pointerdown", (event) => { start = at(event); this.svg.setPointerCapture(event.pointerId); });
    this.svg.addEventListener("pointermove", (event) => {
      if (!this.span || !this.label) return;
      this.show(at(event));
      if (start === null) return;
      this.choice.setAttribute("x", Math.min(start, at(event)));
      this.choice.setAttribute("width", Math.abs(at(event) - start));
    });
    this.svg.addEventListener("pointerup", (event) => {
      if (start === null) return;
      const [a, b] = [this.dayAt(Math.min(start, at(event))), this.dayAt(Math.max(start, at(event)))];
      const dragged = Math.abs(at(event) - start) > 6;
      start = null;
      if (!dragged) this.events.day(a);
      else if (b - a >= 4) this.events.span([a, b]);
      else this.draw();
    });
    this.svg.addEventListener("pointercancel", () => { start = null; });
    this.svg.addEventListener("pointerleave", () => { if (this.label) this.label.textContent = ""; });
    this.svg.addEventListener("dblclick", () => this.events.span(null));
  }
}
