// The page of a benchmark: methods beside one another, and what is said of what their searches derived.

function render(facts) {
  const {plot} = facts, methods = Object.keys(facts.methods), index = Object.fromEntries(methods.map((name, i) => [name, i]));
  const points = plot.lines.map(line => line.heights.map((height, epoch) => ({...line, height, epoch: epoch + 1})));
  const draw = width => Plot.plot({
    width, height: 380, marginLeft: 52, grid: true, ariaLabel: plot.title,
    x: {label: plot.lines.some(line => line.trials) ? "epoch, and trials" : "epoch", ...whole(8)},
    y: {label: plot.axis, nice: true},
    marks: [
      Object.entries(plot.levels).map(([name, level]) => [
        Plot.ruleY([level], {stroke: "var(--soft)", strokeDasharray: "4 4"}),
        Plot.text([level], {y: level, frameAnchor: "left", dy: -6, text: [name], textAnchor: "start", fill: "var(--soft)"})]),
      points.map(some => Plot.lineY(some, {x: "epoch", y: "height", ...stroke(index[some[0].method])})),
      points.map(some => Plot.dot(some, {x: "epoch", y: "height", r: 2.2, fill: COLOURS[index[some[0].method] % 6]})),
      Plot.tip(points.flat(), Plot.pointer({x: "epoch", y: "height", title: point =>
        `${point.method}, seed ${point.seed}\nepoch ${point.epoch}: ${point.height.toPrecision(4)}`})),
    ],
  });
  const rows = Object.entries(facts.methods).map(([method, row]) => [method, ...scores(row), Math.round(row.seconds),
    `${short(row.peak_memory_bytes)}B`]);
  return [
    make("header", {}, make("h1", {}, `Benchmark: ${facts.name}`)),
    section("Methods", make("div", {class: "card"}, table(["method", ...names(facts), "seconds", "peak memory"], rows, "methods"))),
    section("Over the epochs", chart(plot.title, draw, ["method", "seed", "epoch", plot.axis],
      () => points.flat().map(point => [point.method, point.seed, point.epoch, point.height.toPrecision(5)]),
      {legend: legendOf(methods), note: "a line is a seed", key: "bench"})),
    section("What was found", make("div", {class: "card"}, table(["method", "seed", "architecture"],
      Object.entries(facts.methods).flatMap(([method, row]) => Object.entries(row.genotypes).map(([seed, text]) =>
        [method, Number(seed), make("code", {}, text)])), "architectures"))),
    section("Settings", make("div", {class: "card"}, make("dl", {class: "settings"}, Object.entries(facts.settings).map(
      ([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, plain(value))))))),
  ];
}

// What a judge says of a method is a mean and a worst of some names.

const judged = row => Object.entries(row).filter(([, value]) => value && typeof value == "object" && "mean" in value);
const names = facts => judged(Object.values(facts.methods)[0]).flatMap(([name]) => [`${name.replaceAll("_", " ")}, mean`, "worst"]);
const scores = row => judged(row).flatMap(([, value]) => [value.mean.toFixed(2), value.worst.toFixed(2)]);

keepUp(render, () => false, () => 60);
