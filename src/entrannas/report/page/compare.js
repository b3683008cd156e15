// The page of some runs over one another.

const words = {weights_loss: "Loss, weights' half", weights_accuracy: "Accuracy, weights' half, %", alpha_loss: "Loss, alpha's half",
  alpha_accuracy: "Accuracy, alpha's half, %", train_loss: "Training loss", train_accuracy: "Training accuracy, %"};

function render(facts) {
  const {runs} = facts, names = runs.map(run => run.name);
  document.title = `${names.join(", ")} · EnTranNAS`;
  const epochs = [...new Set(runs.flatMap(run => run.lines.map(line => line.epoch)))].sort((a, b) => a - b);
  const series = key => runs.map(run => {
    const of = new Map(run.lines.map(line => [line.epoch, line[key]]));
    return {name: run.name, values: epochs.map(epoch => of.get(epoch))};
  });
  return [
    runs.some(run => run.page) ? null : make("nav", {}, make("a", {href: "/"}, "‹ all runs")),
    make("header", {}, make("h1", {}, "Compared")),
    make("div", {class: "card"}, table(["run", "kind", "state", "accuracy", "parameters", "multiply-adds", "time"], runs.map(run => [
      make("a", {href: run.page ?? `/run?run=${encodeURIComponent(run.name)}`}, run.name), run.kind, run.state, percent(run.accuracy),
      run.cost ? short(run.cost.parameters) : "–", run.cost ? short(run.cost.multiply_adds) : "–", duration(run.seconds)]), "the runs")),
    section("Curves", grid(Object.entries(words).map(([key, title]) =>
      overEpochs(title, epochs, series(key), {form: key.endsWith("accuracy") ? percent : plain})))),
    section("Accuracy against cost", grid([["parameters", "parameters"], ["multiply_adds", "multiply-adds"]].map(([key, title]) => scatter(runs, key, title)))),
    section("Cells", make("p", {class: "soft"}, "thick: connections that not all of these cells have"), cells(runs)),
    section("Settings that differ", make("div", {class: "card"}, differing(runs))),
  ];
}

function scatter(runs, key, title) {
  const points = runs.filter(run => run.cost && run.accuracy != null).map(run => ({name: run.name, kind: run.kind, x: run.cost[key], y: 100 * run.accuracy}));
  if (!points.length) return null;
  const symbols = {search: "circle", train: "square"};
  return chart(`Accuracy against ${title}`, width => Plot.plot({width, height: 300, marginLeft: 52, marginRight: 60, grid: true, ariaLabel: `accuracy against ${title}`,
    x: {label: title, tickFormat: short, nice: true}, y: {label: "accuracy, %", nice: true},
    marks: [
      Plot.dot(points, {x: "x", y: "y", symbol: point => symbols[point.kind], r: 5, fill: "var(--c1)"}),
      Plot.text(points, {x: "x", y: "y", text: point => point.name.split("/").at(-1), dy: -10, fill: "currentColor"}),
      Plot.tip(points, Plot.pointer({x: "x", y: "y", title: point => `${point.name}\n${short(point.x)} ${title}, ${point.y.toFixed(2)} %`})),
    ]}), ["run", "kind", title, "accuracy, %"], () => points.map(point => [point.name, point.kind, short(point.x), point.y.toFixed(2)]),
    {note: "round: a search, on alpha's half; square: a training, on the test images", key: `scatter ${key}`});
}

function cells(runs) {
  const kinds = [...new Set(runs.flatMap(run => Object.keys(run.cells)))];
  return kinds.map(kind => make("div", {class: "grid pairs"}, runs.filter(run => run.cells[kind]).map(run => make("figure", {},
    make("h3", {}, run.name), drawing(run.cells[kind], `${kind} ${run.name}`, `The ${kind} cell of ${run.name}`),
    make("p", {class: "soft"}, run.own[kind].length ? `not in all: ${run.own[kind].join("; ")}` : "the same as the others")))));
}

function differing(runs) {
  const names = [...new Set(runs.flatMap(run => Object.keys(run.settings)))];
  const rows = names.map(name => [name, ...runs.map(run => plain(run.settings[name]))])
    .filter(([, ...values]) => new Set(values).size > 1);
  return rows.length ? table(["setting", ...runs.map(run => run.name)], rows, "settings that differ") : make("p", {}, "none");
}

keepUp(render, () => false, () => 3);
