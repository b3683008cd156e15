// The page of all runs in a directory.

const MOST = 12;  // runs that are compared at once
const picked = new Set(chosen.picked ?? []);

function spark(row) {
  if (!row.curve?.length) return "";
  const picture = Plot.plot({
    width: 110, height: 26, margin: 3, axis: null, x: {domain: [0, Math.max(1, row.curve.length - 1)]}, y: {domain: [0, 1]},
    ariaLabel: `accuracy from ${percent(row.curve[0])} to ${percent(row.curve.at(-1))}`,
    marks: [Plot.lineY(row.curve, {stroke: "var(--c1)", strokeWidth: 1.8}),
      Plot.dot([row.curve.at(-1)], {x: () => row.curve.length - 1, y: value => value, r: 2.4, fill: "var(--c1)"})],
  });
  picture.style.display = "block";
  return picture;
}

const address = (path, names) => `${path}?${names.map(name => `run=${encodeURIComponent(name)}`).join("&")}`;

function render(facts) {
  const good = facts.runs.filter(row => !row.error), bad = facts.runs.filter(row => row.error);
  for (const name of picked) if (!good.some(row => row.name == name)) picked.delete(name);
  const compare = make("button", {type: "button", id: "compare", onclick: () => {
    location.href = address("/compare", [...picked]);
  }}, "");
  const count = () => {
    compare.textContent = picked.size > MOST ? `choose ${MOST} runs at most` : picked.size > 1 ? `compare ${picked.size} runs`
      : "choose two runs to compare them";
    compare.disabled = picked.size < 2 || picked.size > MOST;
    choose("picked", [...picked]);
  };
  count();
  const box = row => row.kind == "benchmark" ? "" : make("input", {type: "checkbox", id: `pick ${row.name}`, checked: picked.has(row.name),
    "aria-label": `compare ${row.name}`, onchange: event => {
      picked[event.target.checked ? "add" : "delete"](row.name);
      count();
    }});
  const rows = good.map(row => [box(row), make("a", {href: address("/run", [row.name]), id: `open ${row.name}`}, row.name), row.kind,
    row.state ? make("span", {class: `state ${row.state}`}, row.state) : "",
    row.epochs ? `${row.done} of ${row.epochs}` : "", spark(row), row.kind == "benchmark" ? "" : percent(row.accuracy),
    row.parameters === undefined ? "" : short(row.parameters), row.multiply_adds === undefined ? "" : short(row.multiply_adds),
    row.seconds === undefined ? "" : duration(row.seconds), row.method ?? "", make("span", {title: row.data ?? ""}, (row.data ?? "").split("/").at(-1)),
    new Date(1000 * row.written).toLocaleString()]);
  document.title = `${facts.runs.length} runs · EnTranNAS`;
  return [
    make("header", {}, make("h1", {}, "Runs"), make("span", {class: "soft"}, facts.path)),
    make("p", {class: "soft"}, `${good.length} runs${bad.length ? `, and ${bad.length} that cannot be read` : ""}. Accuracy: of a search `
      + "on alpha's half, of a training on the test images."),
    make("div", {class: "controls"}, compare),
    good.length ? make("div", {class: "card"}, table(["", "run", "kind", "state", "epochs", "accuracy", "reached", "parameters",
      "multiply-adds", "time", "method", "data", "last written"], rows, "runs")) : null,
    bad.length ? section("Not readable", make("div", {class: "card"}, table(["run", "what is wrong"],
      bad.map(row => [row.name, row.error]), "runs that cannot be read"))) : null,
  ];
}

keepUp(render, () => false, () => 2);
