// Where data come from: the server that sent the page, or the page itself.
import { MISSING } from "xsm/colours";

const KEPT = 48;

class Kept {
  constructor() { this.entries = new Map(); }
  get(key, make) {
    const entry = this.entries.get(key) ?? make().catch((error) => { this.entries.delete(key); throw error; });
    this.entries.delete(key);
    this.entries.set(key, entry);
    if (this.entries.size > KEPT) this.entries.delete(this.entries.keys().next().value);
    return entry;
  }
}

const unpacked = (numbers, scale, offset) => {
  const values = new Float32Array(numbers.length);
  for (let i = 0; i < numbers.length; i++) values[i] = numbers[i] === MISSING ? NaN : offset + scale * numbers[i];
  return values;
};

class Server {
  constructor() { this.days = new Kept(); this.places = new Kept(); this.saved = false; }
  async ask(path, query = {}) {
    const answer = await fetch(`${path}?${new URLSearchParams(query)}`).catch(() => {
      throw new Error("The explorer has ended: start xsm view again.");
    });
    if (answer.ok) return answer;
    const { error, hint } = await answer.json().catch(() => ({ error: answer.statusText }));
    throw new Error([error, hint].filter(Boolean).join(" "));
  }
  async about() { return (await this.ask("about")).json(); }
  day(product, day, kind, window) {
    const query = { product, day, kind, ...(window && { window: window.join(",") }) };
    return this.days.get(JSON.stringify(query), async () => {
      const buffer = await (await this.ask("day", query)).arrayBuffer();
      if (!buffer.byteLength) return null;
      const head = new DataView(buffer);
      const [scale, offset] = [head.getFloat64(0, true), head.getFloat64(8, true)];
      const [rows, cols] = [head.getUint32(16, true), head.getUint32(20, true)];
      return { rows, cols, values: unpacked(new Uint16Array(buffer, 24), scale, offset), window };
    });
  }
  place(what, query) {
    return this.places.get(JSON.stringify([what, query]), async () => (await this.ask(what, query)).json());
  }
  series(product, lon, lat) { return this.place("series", { product, lon, lat }); }
  usual(product, lon, lat) { return this.place("usual", { product, lon, lat }); }
  stations(lon, lat) { return this.place("stations", { lon, lat }); }
  async save(query) { return (await this.ask("save", query)).blob(); }
}

const inflated = async (text) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
};

const between = (pairs, value) => pairs.findIndex(([a, b]) => value >= Math.min(a, b) && value <= Math.max(a, b));

class Saved {
  constructor(data) { this.data = data; this.cubes = new Map(); this.saved = true; }
  async about() { return this.data.about; }
  product(key) { return this.data.about.products.find((p) => p.key === key); }
  cube(key, kind) {
    const name = `${key}\n${kind}`;
    if (!this.cubes.has(name)) this.cubes.set(name, inflated(this.data.maps[name].numbers).then((b) => new Uint16Array(b)));
    return this.cubes.get(name);
  }
  async day(key, day, kind) {
    const product = this.product(key);
    const i = product.days.indexOf(day);
    const stored = this.data.maps[`${key}\n${kind}`];
    if (i < 0 || !stored) return null;
    const { lat, lon } = this.data.about.grids[product.grid];
    const size = lat.length * lon.length;
    const numbers = (await this.cube(key, kind)).subarray(i * size, (i + 1) * size);
    return { rows: lat.length, cols: lon.length, values: unpacked(numbers, stored.scale[i], stored.offset[i]) };
  }
  async series(key, lon, lat) {
    const product = this.product(key);
    const grid = this.data.about.grids[product.grid];
    const [row, col] = [between(grid.lat, lat), between(grid.lon, lon)];
    if (row < 0 || col < 0) return {};
    const read = async (kind) => {
      const stored = this.data.maps[`${key}\n${kind}`];
      const numbers = await this.cube(key, kind);
      const size = grid.lat.length * grid.lon.length;
      return product.days.map((_, i) => {
        const n = numbers[i * size + row * grid.lon.length + col];
        return n === MISSING ? null : stored.offset[i] + stored.scale[i] * n;
      });
    };
    const values = await read("value");
    if (!product.spread) return { values };
    const half = (await read("spread")).map((s) => (s === null ? null : 1.96 * s));
    const add = (sign) => values.map((v, i) => (v === null || half[i] === null ? null : v + sign * half[i]));
    return { values, low: add(-1), high: add(1) };
  }
  async usual() { return {}; }
  async stations(lon, lat) {
    const km = (s) => 111.2 * Math.hypot(s.lat - lat, (s.lon - lon) * Math.cos((lat * Math.PI) / 180));
    return this.data.stations.map((s) => ({ ...s, km: Math.round(10 * km(s)) / 10 })).filter((s) => s.km <= 25).sort((a, b) => a.km - b.km);
  }
}

const data = document.getElementById("data");
export const source = data ? new Saved(JSON.parse(data.textContent)) : new Server();
export const initial = data ? source.data.state : "";
