// Files for the reader: the map as PNG, the series as CSV, a window of days as a page.
import { toDay, toISO } from "xsm/colours";
import { source } from "xsm/source";

const $ = (id) => document.getElementById(id);

export const download = (blob, name) => {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name.replace(/[^\w.+-]+/g, "_") });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};

// The map with its title, colours and date.
export const savePicture = async (map, title, bar, name) => {
  const ratio = 2;
  const [width, height] = map.size;
  const [head, foot] = [34, 62];
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width * ratio, (height + head + foot) * ratio];
  const part = document.createElement("canvas");
  [part.width, part.height] = [width * ratio, height * ratio];
  map.paintOn(part.getContext("2d"), ratio);
  const c = canvas.getContext("2d");
  c.fillStyle = "#fff";
  c.fillRect(0, 0, canvas.width, canvas.height);
  c.drawImage(part, 0, head * ratio);
  c.scale(ratio, ratio);
  c.fillStyle = "#1b1f24";
  c.font = "600 15px system-ui, sans-serif";
  c.fillText(title, 10, 22, width - 20);
  c.drawImage(bar.canvas, 10, height + head + 8, width - 20, 14);
  c.font = "12px system-ui, sans-serif";
  for (const [share, text] of bar.ticks) {
    c.textAlign = share < 0.03 ? "left" : share > 0.97 ? "right" : "center";
    c.fillText(text, 10 + share * (width - 20), height + head + 36);
  }
  c.textAlign = "left";
  c.fillText(bar.name, 10, height + head + 54, width - 20);
  download(await new Promise((done) => canvas.toBlob(done, "image/png")), `${name}.png`);
};

const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

// One row for each day, with the ends of the 95 percent interval beside a value.
export const seriesTable = (lines, dots) => {
  const columns = [];
  for (const s of [...lines, ...dots]) {
    const at = new Map(s.days.map((d, i) => [d, i]));
    const name = s.key.replace("\n", " ");
    for (const [end, values] of [["", s.values], [" low95", s.low], [" high95", s.high]])
      if (values) columns.push([name + end, (d) => values[at.get(d)] ?? ""]);
  }
  const days = [...new Set([...lines, ...dots].flatMap((s) => s.days))].sort((a, b) => a - b);
  const rows = days.map((d) => [toISO(d), ...columns.map(([, read]) => read(d))].join(","));
  return [["date", ...columns.map(([name]) => quoted(name))].join(","), ...rows].join("\n") + "\n";
};

// Ask what a page shall contain, and save it.
export const pageDialog = (about, state, every, say) => {
  const dialog = $("dialog");
  $("what").replaceChildren($("what").firstElementChild, ...about.products.map((p) => {
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", value: p.key });
    label.append(box, p.label);
    return label;
  }));
  $("page").addEventListener("click", () => {
    for (const box of $("what").querySelectorAll("input")) box.checked = box.value === state().product.key || about.products.find((p) => p.key === box.value).moisture;
    for (const id of ["first", "last"]) [$(id).min, $(id).max] = every.map(toISO);
    $("first").value = toISO(Math.max(state().day - 15, every[0]));
    $("last").value = toISO(Math.min(state().day + 15, every[1]));
    dialog.returnValue = "";
    dialog.showModal();
  });
  dialog.addEventListener("close", async () => {
    if (dialog.returnValue !== "save") return;
    const products = [...$("what").querySelectorAll("input:checked")].map((b) => b.value).join("|");
    const [first, last] = [toDay($("first").value), toDay($("last").value)];
    say("Making the page…");
    try {
      const blob = await source.save({ box: state().box.map((v) => v.toFixed(4)).join(","), first, last, products, state: state().seen });
      download(blob, `soil-moisture-${$("first").value}-${$("last").value}.html`);
      say("The page is saved.");
    } catch (error) { say(error.message); }
  });
};
