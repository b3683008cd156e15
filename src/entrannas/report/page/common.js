// What all pages have: elements, charts with their tables, and how a page keeps up with what it shows.
// Whatever comes from a run goes into the page as text, never as markup; the drawings of cells are our own.
"use strict";

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  element.append(...children.flat().filter(one => one !== null && one !== undefined));
  return element;
}

// Numbers and times as they are read.

const percent = value => value === null || value === undefined ? "–" : `${(100 * value).toFixed(2)} %`;
const plain = value => value === null || value === undefined ? "–"
  : typeof value == "number" && !Number.isInteger(value) ? String(+value.toPrecision(5))
  : typeof value == "object" ? JSON.stringify(value) : String(value);

function short(value) {
  if (value === null || value === undefined) return "–";
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]])
    if (Math.abs(value) >= size) return `${(value / size).toPrecision(3)} ${unit}`;
  return plain(value);
}

function duration(seconds) {
  seconds = Math.round(seconds);
  const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60) % 60;
  return hours ? `${hours} h ${minutes} min` : minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

// What the reader has chosen outlives a new look at the run.

const place = location.pathname + location.search;
const chosen = JSON.parse(sessionStorage.getItem(place) ?? "{}");
const choose = (name, value) => {
  chosen[name] = value;
  sessionStorage.setItem(place, JSON.stringify(chosen));
};

function details(key, summary, fill) {
  const element = make("details", {open: Boolean(chosen[key])}, make("summary", {id: key}, summary));
  const show = () => { if (element.open && element.children.length == 1) element.append(fill()); };
  element.addEventListener("toggle", () => { choose(key, element.open); show(); });
  show();
  return element;
}

function table(columns, rows, caption) {
  const cell = (tag, value) => {
    const number = typeof value == "number" || (typeof value == "string" && /^[–\d.,+-]+( [%GMkx])?$/.test(value));
    return make(tag, {class: number ? "number" : null}, value instanceof Node ? value : plain(value));
  };
  return make("div", {class: "wide", id: `wide ${caption}`, tabindex: "0", role: "region", "aria-label": caption}, make("table", {},
    make("caption", {class: "unseen"}, caption),
    make("thead", {}, make("tr", {}, columns.map(name => make("th", {scope: "col"}, name)))),
    make("tbody", {}, rows.map(row => make("tr", {}, row.map(value => cell("td", value)))))));
}

// A chart: a heading, the picture, which is drawn anew where its width changes, and its numbers as a table behind it.

let numbered = 0;

function chart(title, draw, columns, rows, {legend = null, note = null, key = null} = {}) {
  const picture = make("div", {class: "picture"}), id = key ?? `table-${numbered++}`;
  const figure = make("figure", {"aria-label": title}, make("h3", {}, title), note && make("p", {class: "soft"}, note),
    legend, picture, columns && details(id, "as a table", () => table(columns, rows(), title)));
  let width = 0;
  new ResizeObserver(([entry]) => {
    const now = Math.floor(entry.contentRect.width);
    if (!now || now == width) return;
    width = now;
    picture.replaceChildren(draw(width));
  }).observe(picture);
  return figure;
}

const COLOURS = [1, 2, 3, 4, 5, 6].map(number => `var(--c${number})`);
const PATTERNS = ["none", "7 3", "2 3", "9 3 2 3", "4 2", "1 2"];
const pattern = index => PATTERNS[(index + Math.floor(index / 6)) % 6];
const stroke = index => ({stroke: COLOURS[index % 6], strokeDasharray: pattern(index), strokeWidth: 2});

function legendOf(names, values) {
  return make("ul", {class: "legend"}, names.map((name, index) => {
    const sample = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    sample.setAttribute("aria-hidden", "true");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    for (const [key, value] of Object.entries({x1: 0, x2: "100%", y1: "50%", y2: "50%"})) line.setAttribute(key, value);
    line.style.cssText = `stroke:${COLOURS[index % 6]};stroke-width:3;stroke-dasharray:${pattern(index)}`;
    sample.append(line);
    return make("li", {}, sample, name, values ? make("b", {}, ` ${values[index]}`) : null);
  }));
}

const whole = ticks => ({tickFormat: value => Number.isInteger(value) ? String(value) : "", ticks});

// Lines over the epochs. A series is a name and a number, or nothing, for each of `epochs`, which are counted from 0.
function overEpochs(title, epochs, series, {form = plain, unit = null, zero = false, note = null} = {}) {
  series = series.filter(one => one.values.some(value => value !== null && value !== undefined));
  if (!series.length || !epochs.length) return null;
  const points = series.map(one => epochs.map((epoch, index) => ({epoch: epoch + 1, value: one.values[index]}))
    .filter(point => point.value !== null && point.value !== undefined));
  const last = points.map(some => form(some.at(-1).value));
  const draw = width => Plot.plot({
    width, height: 210, marginLeft: 52, marginRight: 12, ariaLabel: title,
    x: {label: "epoch", ...whole(Math.min(8, Math.max(1, epochs.length)))},
    y: {label: unit, grid: true, nice: true, zero, tickFormat: value => form(value).replace(/\.00 %| %/, "")},
    marks: series.flatMap((one, index) => [
      Plot.lineY(points[index], {x: "epoch", y: "value", ...stroke(index)}),
      epochs.length < 40 ? Plot.dot(points[index], {x: "epoch", y: "value", r: 2.2, fill: COLOURS[index % 6]}) : null,
      Plot.tip(points[index], Plot.pointer({x: "epoch", y: "value", fontSize: 12,
        title: point => `${one.name}\nepoch ${point.epoch}: ${form(point.value)}`})),
    ]),
  });
  const rows = () => epochs.map((epoch, index) => [epoch + 1, ...series.map(one => one.values[index]
    === undefined || one.values[index] === null ? "–" : form(one.values[index]))]);
  const columns = ["epoch", ...series.map(one => one.name)];
  return chart(title, draw, columns, rows, {legend: legendOf(series.map(one => one.name), last), note, key: `t ${title}`});
}

function bars(title, epochs, values, options = {}) {
  if (!values.some(value => value)) return null;
  const points = epochs.map((epoch, index) => ({epoch: epoch + 1, value: values[index] ?? 0}));
  const draw = width => Plot.plot({
    width, height: 210, marginLeft: 52, marginRight: 12, ariaLabel: title,
    x: {label: "epoch", ...whole(8)}, y: {label: options.unit ?? null, grid: true, nice: true},
    marks: [
      Plot.rectY(points, {x1: point => point.epoch - .42, x2: point => point.epoch + .42, y: "value", fill: "var(--c1)"}),
      Plot.ruleY([0]),
      Plot.tip(points, Plot.pointerX({x: "epoch", y: "value", title: point => `epoch ${point.epoch}: ${point.value}`})),
    ],
  });
  return chart(title, draw, ["epoch", title], () => points.map(point => [point.epoch, point.value]),
    {note: options.note, key: `t ${title}`});
}

function drawing(svg, key, label) {
  const place = make("div", {class: "cell", id: `cell ${key}`, role: "img", tabindex: "0", "aria-label": label});
  place.innerHTML = svg;  // our own, of `render_cell`, which escapes the names that stand in it
  return place;
}

const section = (title, ...children) => {
  const there = children.flat(2).filter(Boolean);
  return there.length ? make("section", {"aria-label": title}, make("h2", {}, title), ...there) : null;
};
const grid = (...children) => {
  const there = children.flat(2).filter(Boolean);
  return there.length ? make("div", {class: "grid"}, there) : null;
};

function command(told, text) {
  const said = make("span", {class: "unseen", role: "status"});
  const copy = make("button", {type: "button", id: `copy ${text}`, "aria-label": `Copy: ${text}`, onclick: () =>
    navigator.clipboard.writeText(text).then(() => { copy.textContent = said.textContent = "copied"; }, () => {})}, "copy");
  return make("div", {}, make("div", {class: "soft"}, told), make("div", {class: "command"}, make("code", {}, text),
    navigator.clipboard ? [copy, said] : null));
}

// The page keeps up: a file looks at itself anew, a served one asks for its facts.

async function unpacked() {
  const packed = Uint8Array.from(atob(document.getElementById("facts").textContent), letter => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

let held = false;  // while a pointer is down, nothing is drawn anew under it
addEventListener("pointerdown", () => { held = true; });
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { held = false; });

function show(render, facts) {
  const focused = document.activeElement?.id, top = scrollY, main = document.getElementById("main");
  const aside = new Map([...main.querySelectorAll("[id]")].filter(one => one.scrollLeft).map(one => [one.id, one.scrollLeft]));
  try {
    main.replaceChildren(...render(facts).filter(Boolean));
  } catch (error) {
    main.replaceChildren(make("p", {}, `This cannot be shown: ${error.message}`));
  }
  if (focused) document.getElementById(focused)?.focus({preventScroll: true});
  for (const [id, left] of aside) document.getElementById(id)?.scrollTo(left, 0);
  scrollTo(0, top);
}

async function keepUp(render, moves, pause) {
  let facts = await unpacked();
  show(render, facts);
  if (chosen.top) scrollTo(0, chosen.top);
  choose("top", 0);
  if (facts.live) {
    let tag = null;
    for (;;) {
      await new Promise(resolve => setTimeout(resolve, 1000 * pause(facts)));
      if (document.hidden || held) continue;
      try {
        const answer = await fetch(facts.live, {headers: tag ? {"If-None-Match": tag} : {}, cache: "no-store"});
        if (!answer.ok) continue;
        facts = await answer.json();
        show(render, facts);
        tag = answer.headers.get("ETag");
      } catch { continue; }  // the server is away: it may come again
    }
  }
  const again = () => {
    if (document.hidden || held) return setTimeout(again, 500);
    choose("top", scrollY);
    location.reload();
  };
  if (moves(facts)) setTimeout(again, 1000 * pause(facts));
}
