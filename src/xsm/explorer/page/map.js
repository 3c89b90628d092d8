// The map: an image of cells, coasts and borders, stations and the chosen place on one canvas.

const LOOKS = { lake: ["#5b7a99", 0.8], state: ["#00000055", 0.8], border: ["#000000b0", 1.1], coast: ["#1b1f24", 1.1] };
const MOST_CELLS = 1_500_000;
const FARTHEST = 60;

export class MapView {
  constructor(canvas, events) {
    Object.assign(this, { canvas, events, context: canvas.getContext("2d"), lines: {}, stations: [], place: null, image: null });
    this.view = { lon: 0, lat: 0, zoom: 1 };
    new ResizeObserver(() => this.draw()).observe(canvas);
    this.listen();
  }

  setBox([west, south, east, north]) {
    this.box = { west, south, east, north };
    this.flat = Math.cos((Math.min(Math.abs((south + north) / 2), 60) * Math.PI) / 180);
    this.view = { lon: (west + east) / 2, lat: (south + north) / 2, zoom: 1 };
  }

  setLines(lines) {
    for (const [kind, parts] of Object.entries(lines)) {
      const path = new Path2D();
      for (const part of parts) {
        path.moveTo(part[0] * this.flat, -part[1]);
        for (let i = 2; i < part.length; i += 2) path.lineTo(part[i] * this.flat, -part[i + 1]);
      }
      this.lines[kind] = path;
    }
  }

  // An image of values on a grid: colours of its cells as 32-bit numbers.
  setImage(image, pixels) {
    this.image = image;
    if (image) {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [image.cols, image.rows];
      canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), image.cols, image.rows), 0, 0);
      image.canvas = canvas;
    }
    this.draw();
  }

  get size() { return [this.canvas.clientWidth || 1, this.canvas.clientHeight || 1]; }
  get scale() {
    const { west, south, east, north } = this.box;
    const [width, height] = this.size;
    return 0.96 * Math.min(width / ((east - west) * this.flat), height / (north - south)) * this.view.zoom;
  }
  toScreen(lon, lat) {
    const [width, height] = this.size;
    return [width / 2 + (lon - this.view.lon) * this.flat * this.scale, height / 2 - (lat - this.view.lat) * this.scale];
  }
  toPlace(x, y) {
    const [width, height] = this.size;
    return [this.view.lon + (x - width / 2) / this.scale / this.flat, this.view.lat - (y - height / 2) / this.scale];
  }
  shown() {
    const [width, height] = this.size;
    const [[west, north], [east, south]] = [this.toPlace(0, 0), this.toPlace(width, height)];
    return [Math.max(west, this.box.west), Math.max(south, this.box.south), Math.min(east, this.box.east), Math.min(north, this.box.north)];
  }

  // Rows, columns and the step between them that this view needs of a grid; nothing where all are few.
  window(grid) {
    const [rows, cols] = [grid.lat.length, grid.lon.length];
    if (rows * cols <= MOST_CELLS) return undefined;
    const [west, south, east, north] = this.shown();
    const span = (pairs, low, high) => {
      const hits = pairs.map(([a, b], i) => (b > low && a < high ? i : -1)).filter((i) => i >= 0);
      return hits.length ? [hits[0], hits.at(-1) + 1] : [0, 1];
    };
    const [[top, bottom], [left, right]] = [span(grid.lat, south, north), span(grid.lon, west, east)];
    const step = Math.max(1, Math.ceil(Math.sqrt(((bottom - top) * (right - left)) / MOST_CELLS)));
    return [top, bottom, left, right, step];
  }

  edges(image) {
    if (!image.edges) {
      const [top, bottom, left, right, step] = image.window ?? [0, image.rows, 0, image.cols, 1];
      const { lat, lon } = image.grid;
      image.edges = {
        rows: Array.from({ length: image.rows }, (_, i) => [lat[Math.min(top + (i + 1) * step, bottom) - 1][0], lat[top + i * step][1]]),
        west: lon[left][0], east: lon[Math.min(left + image.cols * step, right) - 1][1],
      };
    }
    return image.edges;
  }

  valueAt(lon, lat) {
    if (!this.image) return NaN;
    const { rows, west, east } = this.edges(this.image);
    const row = rows.findIndex(([south, north]) => lat >= south && lat <= north);
    const col = Math.floor(((lon - west) / (east - west)) * this.image.cols);
    return row < 0 || col < 0 || col >= this.image.cols ? NaN : this.image.values[row * this.image.cols + col];
  }

  draw() {
    if (this.waiting || !this.box) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.paint(); });
  }

  paint() {
    const [width, height] = this.size;
    const ratio = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio))
      [this.canvas.width, this.canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    this.paintOn(this.context, ratio);
  }

  paintOn(c, ratio) {
    const [width, height] = this.size;
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.fillStyle = "#eef2f5";
    c.fillRect(0, 0, width, height);
    c.imageSmoothingEnabled = false;
    if (this.image?.canvas) this.paintImage(c, ratio);
    const [x, y] = this.toScreen(0, 0);
    for (const kind of Object.keys(LOOKS)) {
      if (!this.lines[kind]) continue;
      c.setTransform(ratio * this.scale, 0, 0, ratio * this.scale, ratio * x, ratio * y);
      [c.strokeStyle, c.lineWidth] = [LOOKS[kind][0], LOOKS[kind][1] / this.scale];
      c.stroke(this.lines[kind]);
    }
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    for (const station of this.stations) this.dot(c, ...this.toScreen(station.lon, station.lat), 4, "#fff", "#1b1f24", 1.4);
    if (this.place) {
      const [px, py] = this.toScreen(...this.place);
      this.dot(c, px, py, 7, "#0000", "#fff", 5);
      this.dot(c, px, py, 7, "#0000", "#c4007a", 2.5);
    }
  }

  paintImage(c, ratio) {
    const { rows, west, east } = this.edges(this.image);
    const { canvas, cols } = this.image;
    const pixel = (v) => Math.round(v * ratio) / ratio;
    const [left, right] = [pixel(this.toScreen(west, 0)[0]), pixel(this.toScreen(east, 0)[0])];
    const height = this.size[1];
    for (let i = 0; i < rows.length; i++) {
      const [top, bottom] = [pixel(this.toScreen(0, rows[i][1])[1]), pixel(this.toScreen(0, rows[i][0])[1])];
      if (bottom < 0 || top > height) continue;
      c.drawImage(canvas, 0, i, cols, 1, left, top, right - left, Math.max(bottom - top, 1 / ratio));
    }
  }

  dot(c, x, y, radius, fill, stroke, width) {
    c.beginPath();
    c.arc(x, y, radius, 0, 7);
    [c.fillStyle, c.strokeStyle, c.lineWidth] = [fill, stroke, width];
    c.fill();
    c.stroke();
  }

  stationAt(x, y) {
    const near = (s) => { const [a, b] = this.toScreen(s.lon, s.lat); return Math.hypot(a - x, b - y); };
    return this.stations.filter((s) => near(s) < 9).sort((a, b) => near(a) - near(b))[0];
  }

  zoomBy(factor, x = this.size[0] / 2, y = this.size[1] / 2) {
    const [lon, lat] = this.toPlace(x, y);
    this.view.zoom = Math.min(Math.max(this.view.zoom * factor, 1), FARTHEST);
    const [nlon, nlat] = this.toPlace(x, y);
    this.move(lon - nlon, lat - nlat);
  }

  move(dlon, dlat) {
    const { west, south, east, north } = this.box;
    this.view.lon = Math.min(Math.max(this.view.lon + dlon, west), east);
    this.view.lat = Math.min(Math.max(this.view.lat + dlat, south), north);
    this.draw();
    this.events.move();
  }

  whole() { this.setBox([this.box.west, this.box.south, this.box.east, this.box.north]); this.draw(); this.events.move(); }

  pick(x, y) {
    const station = this.stationAt(x, y);
    this.events.pick(...(station ? [station.lon, station.lat] : this.toPlace(x, y)));
  }

  listen() {
    const canvas = this.canvas;
    const fingers = new Map();
    let travelled = 0;
    const at = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    canvas.addEventListener("pointerdown", (event) => { fingers.set(event.pointerId, at(event)); if (fingers.size === 1) travelled = 0; canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointermove", (event) => {
      const now = at(event);
      const before = fingers.get(event.pointerId);
      if (!before) return this.events.hover(...this.toPlace(...now), this.stationAt(...now));
      const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
      travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
      fingers.set(event.pointerId, now);
      if (other) {
        const spread = (p) => Math.max(Math.hypot(p[0] - other[0], p[1] - other[1]), 1);
        this.zoomBy(spread(now) / spread(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      } else if (travelled > 4) this.move((before[0] - now[0]) / this.scale / this.flat, (now[1] - before[1]) / this.scale);
    });
    const up = (event) => {
      const single = fingers.size === 1;
      if (fingers.delete(event.pointerId) && single && travelled <= 4 && event.type === "pointerup") this.pick(...at(event));
    };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointerleave", () => this.events.leave());
    canvas.addEventListener("wheel", (event) => { event.preventDefault(); this.zoomBy(Math.exp(-event.deltaY * 0.0015), ...at(event)); }, { passive: false });
    const step = () => 60 / this.scale;
    const keys = {
      ArrowLeft: () => this.move(-step(), 0), ArrowRight: () => this.move(step(), 0), ArrowUp: () => this.move(0, step()), ArrowDown: () => this.move(0, -step()),
      "+": () => this.zoomBy(1.5), "=": () => this.zoomBy(1.5), "-": () => this.zoomBy(1 / 1.5), 0: () => this.whole(), Enter: () => this.pick(this.size[0] / 2, this.size[1] / 2),
    };
    canvas.addEventListener("keydown", (event) => { if (keys[event.key] && !event.ctrlKey && !event.metaKey) { event.preventDefault(); keys[event.key](); } });
  }
}
