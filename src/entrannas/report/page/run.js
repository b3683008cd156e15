// The page of a run.

const kinds = {search: "Search", train: "Training"};

function render(facts) {
  const search = facts.kind == "search", lines = facts.metrics, last = lines.at(-1) ?? {};
  const column = name => lines.map(line => line[name]);
  const epochs = column("epoch");
  document.title = `${facts.state == "running" ? progressOf(facts) + " · " : ""}${facts.name} · EnTranNAS`;
  return [
    heading(facts), figures(facts, last), evaluation(facts),
    film(facts),
    section("What to do next", make("div", {class: "card"}, facts.next.map(([told, text]) => command(told, text)))),
    section("Losses and accuracies", grid(search ? [
      overEpochs("Loss", epochs, [
        {name: "weights' half", values: column("weights_loss")}, {name: "alpha's half", values: column("alpha_loss")}]),
      overEpochs("Accuracy of the super-net, %", epochs, [
        {name: "weights' half", values: column("weights_accuracy")},
        {name: "alpha's half", values: column("alpha_accuracy")}], {form: percent}),
    ] : [
      overEpochs("Training loss", epochs, [{name: "training", values: column("train_loss")}]),
      overEpochs("Training accuracy, %", epochs, [{name: "training", values: column("train_accuracy")}], {form: percent}),
      overEpochs("Learning rate", epochs, [{name: "learning rate", values: column("lr")}], {zero: true}),
    ])),
    search ? section("What is derived", grid(
      bars("Steps that changed the architecture", epochs, column("changes")),
      overEpochs("Parameters of the target network", epochs, [{name: "parameters", values: column("parameters")}], {form: short}),
      overEpochs("Multiply-adds of the target network", epochs,
        [{name: "multiply-adds", values: column("multiply_adds")}], {form: short}),
      overEpochs("Latency of the target network by the table, ms", epochs, [{name: "latency", values: column("latency_ms")}]),
      byNode("Entropy of the connections' weights, in nats", lines, "entropy"),
      byNode("Thresholds", lines, "thresholds"),
      facts.settings.method?.includes("dst") || (last.thresholds && Object.keys(last.thresholds).length)
        ? byNode("Live connections", lines, "connections") : null,
    )) : null,
    search && facts.alphas ? alphas(facts) : null,
    trials(facts), ...beside(facts),
    section("The machine's part", grid(
      overEpochs("Seconds an epoch", epochs, [{name: "seconds", values: column("seconds")}], {zero: true}),
      overEpochs("Peak memory", epochs, [{name: "bytes", values: column("peak_memory_bytes")}], {form: short, zero: true}),
      search ? [
        overEpochs("Learning rates", epochs, [
          {name: "weights", values: column("weights_lr")}, {name: "alpha", values: column("alpha_lr")}], {zero: true}),
        overEpochs("Temperature", epochs, [{name: "tau", values: column("tau")}], {zero: true}),
      ] : null,
    )),
    section("Settings and machine", settings(facts)),
  ];
}

const total = facts => facts.epochs;
const done = facts => facts.metrics.length ? facts.metrics.at(-1).epoch + 1 : 0;
const progressOf = facts => `${done(facts)}/${total(facts)}`;

function heading(facts) {
  const recent = facts.metrics.slice(-5).map(line => line.seconds);
  const each = recent.reduce((sum, one) => sum + one, 0) / (recent.length || 1);
  const since = Date.now() / 1000 - facts.written, left = each * (total(facts) - done(facts)) - since;
  const silent = facts.state == "running" && since > Math.max(600, 20 * each);
  const told = facts.state == "running"
    ? silent ? `nothing new for ${duration(since)}: it may have been killed`
      : !done(facts) ? "the first epoch is under way" : left > 0 ? `${duration(left)} left` : "about to end"
    : facts.state == "stopped" ? "it was broken off" : `took ${duration(facts.result?.seconds
      ?? facts.metrics.reduce((sum, line) => sum + line.seconds, 0))}`;
  return make("div", {}, facts.live ? make("nav", {}, make("a", {href: "/"}, "‹ all runs")) : null,
    make("header", {}, make("h1", {}, `${kinds[facts.kind] ?? facts.kind}: ${facts.name}`),
      make("span", {class: `state ${facts.state}`}, facts.state)),
    make("p", {class: "soft", id: "told"}, [total(facts) ? `epoch ${done(facts)} of ${total(facts)}` : "nothing is learned",
      told, new Date(1000 * facts.written).toLocaleString()].join(" · ")),
    total(facts) ? make("progress", {max: total(facts), value: done(facts), "aria-label": "epochs that have ended"}) : null);
}

function figures(facts, last) {
  const {settings, result, data} = facts;
  const figure = ([name, value]) => value === undefined || value === null ? null
    : make("div", {}, make("dt", {}, name), make("dd", {}, value));
  const [channels, height, width] = data.shape, judged = facts.metrics.findLast(line => line.alpha_accuracy != null);
  return make("dl", {class: "figures"}, (facts.kind == "search" ? [
    ["method", settings.method], ["space", settings.space],
    ["accuracy on alpha's half", judged && percent(judged.alpha_accuracy)],
    ["parameters of the target", (result ?? last).parameters && short((result ?? last).parameters)],
    ["its multiply-adds", (result ?? last).multiply_adds && short((result ?? last).multiply_adds)],
    ["changes in the last epoch", last.changes === undefined ? null : String(last.changes)],
  ] : [
    ["test accuracy", result && percent(result.test_accuracy)], ["test loss", result && result.test_loss.toFixed(4)],
    ["training accuracy", last.train_accuracy === undefined ? null : percent(last.train_accuracy)],
    ["parameters", facts.cost && short(facts.cost.parameters)],
    ["multiply-adds", facts.cost && short(facts.cost.multiply_adds)],
  ]).concat([
    ["images", `${data.images.toLocaleString("en")} of ${width} × ${height}${channels == 1 ? ", grey" : ""}`],
    ["classes", String(data.classes)],
    ["peak memory", last.peak_memory_bytes ? `${short(last.peak_memory_bytes)}B` : null],
  ]).map(figure));
}

// The film: a frame for all epochs in which nothing changed.

let playing = null;

function film(facts) {
  const {film, pictures} = facts, goesOn = Boolean(playing);
  clearInterval(playing);
  playing = null;
  if (!film.length) return null;
  const epochs = facts.kind == "search" ? done(facts) : 0;
  const place = make("div", {}), told = make("p", {id: "frame", "aria-live": "polite"});
  const newest = () => chosen.frame === undefined || chosen.frame === null || chosen.frame >= film.length - 1;
  const slider = make("input", {type: "range", id: "slider", min: 0, max: film.length - 1, step: 1,
    "aria-label": "frame of the film", value: newest() ? film.length - 1 : chosen.frame});
  const label = frame => frame.first >= epochs ? (facts.trials.length ? "after the trials" : "now")
    : frame.first == frame.last ? `epoch ${frame.first + 1} of ${total(facts)}`
    : `epochs ${frame.first + 1} to ${frame.last + 1} of ${total(facts)}`;
  const frameNow = () => {
    const frame = film[+slider.value];
    const words = (names, kind, verb) => names.length
      ? make("span", {class: verb}, ` ${kind}: ${names.join("; ")} ${verb}.`) : null;
    told.replaceChildren(make("b", {}, label(frame)), make("span", {}, frame.first || film.length == 1 ? "." : ", as it began."),
      ...Object.keys(frame.cells).flatMap(kind => [words(frame.came[kind] ?? [], kind, "came"), words(frame.left[kind] ?? [],
        kind, "left")]).filter(Boolean));
    slider.setAttribute("aria-valuetext", label(frame));
    place.replaceChildren(...Object.entries(frame.cells).map(([kind, picture]) =>
      drawing(pictures[picture], kind, `The ${kind} cell, ${label(frame)}: ${frame.text}`)));
  };
  const go = to => {
    slider.value = to;
    choose("frame", +slider.value == film.length - 1 ? null : +slider.value);
    frameNow();
  };
  slider.addEventListener("input", () => go(slider.value));
  const play = make("button", {type: "button", id: "play", "aria-pressed": "false", onclick: () => {
    if (playing) { clearInterval(playing); playing = null; }
    else {
      if (+slider.value == film.length - 1) go(0);
      playing = setInterval(() => {
        go(+slider.value + 1);
        if (+slider.value == film.length - 1) play.click();
      }, 600);
    }
    play.setAttribute("aria-pressed", String(Boolean(playing)));
    play.textContent = playing ? "pause" : "play";
  }}, "play");
  frameNow();
  if (goesOn && film.length > 1) play.click();
  return section(facts.kind == "search" ? "The cells that are derived" : "The cells", make("div", {class: "card"},
    film.length > 1 ? make("div", {class: "controls"}, play,
      make("button", {type: "button", id: "back", onclick: () => go(+slider.value - 1), "aria-label": "one frame back"}, "‹"),
      make("button", {type: "button", id: "on", onclick: () => go(+slider.value + 1), "aria-label": "one frame on"}, "›"), slider) : null,
    facts.kind == "search" ? told : null, place,
    details("genotype", "as text", () => make("code", {}, film.at(-1).text))));
}

function byNode(title, lines, name) {
  const last = lines.at(-1)?.[name] ?? {};
  return Object.keys(last).map(kind => overEpochs(`${title}: ${kind} cell`, lines.map(line => line.epoch),
    last[kind].map((_, node) => ({name: `node ${node}`, values: lines.map(line => line[name]?.[kind]?.[node])}))));
}

// Alpha as heat maps: one an edge, an operation a row, an epoch a column; a dot where the connection is derived.

function alphas(facts) {
  const {epochs, operations, edges, kinds} = facts.alphas, names = Object.keys(kinds);
  if (!epochs.length) return null;
  const kind = names.includes(chosen.kind) ? chosen.kind : names[0], what = chosen.what ?? "p";
  const option = (value, text, now) => make("option", {value, selected: value == now}, text);
  const holder = make("div", {});
  const pick = (id, label, options) => make("label", {}, `${label} `, make("select", {id, onchange: event => {
    choose(id, event.target.value);
    fill();
    event.target.focus();
  }}, options));
  const fill = () => {
    const kind = names.includes(chosen.kind) ? chosen.kind : names[0], what = chosen.what ?? "p";
    const rows = kinds[kind][what].map(row => row.map(value => value / 1e4)), flat = rows.flat(), derived = kinds[kind].derived.map(places => new Set(places));
    const scale = {type: "linear", scheme: "viridis", domain: what == "p" ? [0, Math.max(...flat)] : d3.extent(flat)};
    const marked = epochs.filter((_, index) => index % Math.ceil(epochs.length / 5) == 0);
    const heat = ([from, to], edge) => {
      const cells = epochs.flatMap((epoch, row) => operations.map((operation, k) => {
        const place = edge * operations.length + k;
        return {epoch, operation, value: rows[row][place], derived: derived[row].has(place)};
      }));
      const title = `${from} → ${to}`;
      return chart(title, width => Plot.plot({
        width, height: 15 * operations.length + 42, marginLeft: 96, marginRight: 4, marginTop: 4, marginBottom: 34,
        ariaLabel: `${what} of the edge ${title} over the epochs`,
        x: {type: "band", domain: epochs, padding: 0, label: "epoch", ticks: marked, tickFormat: epoch => String(epoch + 1)},
        y: {type: "band", domain: operations, padding: .04, label: null, tickSize: 0}, color: scale,
        marks: [
          Plot.cell(cells, {x: "epoch", y: "operation", fill: "value", inset: 0, ariaLabel: "value", className: "heat"}),
          Plot.dot(cells.filter(cell => cell.derived), {x: "epoch", y: "operation", r: Math.max(1, Math.min(3, 60 / epochs.length)),
            fill: "white", stroke: "black", strokeWidth: .8}),
          Plot.tip(cells, Plot.pointer({x: "epoch", y: "operation", title: cell =>
            `${cell.operation}\nepoch ${cell.epoch + 1}: ${cell.value}${cell.derived ? "\nderived" : ""}`})),
        ],
      }), ["epoch", ...operations], () => epochs.map((epoch, row) => [epoch + 1, ...operations.map((_, k) =>
        rows[row][edge * operations.length + k])]), {key: `t ${kind} ${what} ${title}`});
    };
    const width = Math.min(320, innerWidth - 60);
    holder.replaceChildren(
      Plot.legend({color: scale, label: what == "p" ? "weight p" : "alpha", width, style: {color: "var(--ink)"}}),
      make("div", {class: "grid edges"}, edges.map(heat)),
      details(`alphas ${kind} ${what}`, `${what} of the last epoch as a table`, () => table(["edge", ...operations],
        edges.map(([from, to], edge) => [`${from} → ${to}`, ...operations.map((_, k) =>
          rows.at(-1)[edge * operations.length + k])]), `${what} of the last epoch, ${kind} cell`)));
  };
  fill();
  return section("Alpha over the epochs", make("div", {class: "controls"},
    pick("kind", "cell", names.map(name => option(name, name, kind))),
    pick("what", "shown", [option("p", "weights p", what), option("alpha", "alpha", what)]),
    make("span", {class: "soft"}, "a dot: the connection is derived")), holder);
}

function trials(facts) {
  if (!facts.trials.length) return null;
  const first = facts.trials[0].genotype, rows = [...facts.trials].sort((a, b) => b.steps - a.steps || b.accuracy - a.accuracy);
  return section("Trials", make("div", {class: "card"}, table(["steps", "accuracy", "seconds", "", "architecture"], rows.map(trial =>
    [trial.steps, percent(trial.accuracy), trial.seconds.toFixed(1), trial.genotype == first ? "what alpha derived" : "a neighbour",
      make("code", {}, trial.genotype)]), "the trials, the longest and the best first")));
}

function evaluation(facts) {
  const found = facts.evaluation;
  if (!found) return null;
  const names = found.classes.map(one => one.name), of = new Map(found.classes.map(one => [one.name, one]));
  const cells = [
    ...found.classes.filter(one => one.images).map(one => ({name: one.name, taken: one.name, images: Math.round(one.accuracy * one.images)})),
    ...found.mixed_up.map(one => ({name: one.name, taken: one.taken_for, images: one.images})),
  ].filter(cell => cell.images).map(cell => ({...cell, share: cell.images / of.get(cell.name).images}));
  const longest = Math.min(16, Math.max(...names.map(name => name.length)));
  const cut = name => name.length > 16 ? `${name.slice(0, 15)}…` : name;
  const draw = width => {
    const side = Math.max(width, Math.min(700, 22 * names.length + 7 * longest));
    return Plot.plot({
      width: side, height: side, marginLeft: 7 * longest + 16, marginBottom: 7 * longest + 26, marginTop: 6,
      ariaLabel: "Confusion matrix",
      x: {domain: names, label: "taken for", tickRotate: -60, tickSize: 0, tickFormat: cut},
      y: {domain: names, label: null, tickSize: 0, tickFormat: cut},
      color: {scheme: "blues", domain: [0, 1], type: "linear"},
      marks: [
        Plot.cell(cells, {x: "taken", y: "name", fill: "share", inset: .5}),
        names.length <= 15 ? Plot.text(cells, {x: "taken", y: "name", text: cell => String(cell.images),
          fill: cell => cell.share > .5 ? "white" : "black"}) : null,
        Plot.tip(cells, Plot.pointer({x: "taken", y: "name", title: cell =>
          `${cell.name} taken for ${cell.taken}: ${cell.images} (${percent(cell.share)})`})),
      ],
    });
  };
  const classes = [...found.classes].sort((a, b) => (a.accuracy ?? 2) - (b.accuracy ?? 2));
  const worst = found.worst.filter(one => one.picture);
  return section("The test", make("p", {class: "soft"}, `on ${found.data}: ${percent(found.test_accuracy)} right, ${
    percent(found.top5_accuracy)} among the five most probable, calibration error ${percent(found.calibration_error)}`),
    make("div", {class: "grid"},
      names.length <= 100 ? chart("Confusion matrix", draw, ["class", "taken for", "images"],
        () => cells.map(cell => [cell.name, cell.taken, cell.images]), {key: "confusion", note: "a row is a class"}) : null,
      make("div", {class: "card"}, make("h3", {}, "Classes, the worst first"),
        table(["class", "accuracy", "images"], classes.slice(0, 25).map(one => [one.name, percent(one.accuracy), one.images]), "accuracy by class"))),
    worst.length ? make("div", {class: "card"}, make("h3", {}, "Most wrong"), make("div", {class: "worst"}, worst.map(one =>
      make("div", {}, make("img", {src: one.picture, alt: `${one.image}, a ${one.name}`}), make("div", {class: "soft"},
        `${one.name} → ${one.taken_for}, ${Math.round(100 * one.probability)} %`))))) : null);
}

// What other commands have measured of a search.

function beside(facts) {
  const {consistency, ranking} = facts;
  return [
    consistency && section("Consistency", make("div", {class: "card"}, make("p", {},
      `The super-net reaches ${percent(consistency.supernet_accuracy)} on held-out images, what it derives ${
        percent(consistency.derived_accuracy)} with the same weights: a gap of ${(100 * consistency.gap).toFixed(2)} points. ${
        percent(consistency.dropped_mass)} of the connections' weights lie on connections that are dropped.`),
      chart("Accuracy without any training", width => Plot.plot({width: Math.min(width, 480), height: 110, marginLeft: 80, marginRight: 50,
        x: {domain: [0, 100], label: "accuracy, %"}, y: {label: null}, ariaLabel: "accuracy of super-net and derived network",
        marks: [
          Plot.barX([["super-net", consistency.supernet_accuracy], ["derived", consistency.derived_accuracy]],
            {y: "0", x: row => 100 * row[1], fill: "var(--c1)"}),
          Plot.text([["super-net", consistency.supernet_accuracy], ["derived", consistency.derived_accuracy]],
            {y: "0", x: row => 100 * row[1], text: row => percent(row[1]), dx: 4, textAnchor: "start"}),
        ]}), ["", "accuracy"], () => [["super-net", percent(consistency.supernet_accuracy)], ["derived", percent(
          consistency.derived_accuracy)]], {key: "consistency"}))),
    ranking && section("Ranking", chart(`Kendall ${ranking.kendall.toFixed(2)}, Spearman ${ranking.spearman.toFixed(2)}`,
      width => {
        const points = ranking.genotypes.map((text, index) => ({text, table: ranking.table_accuracies[index],
          found: 100 * ranking.supernet_accuracies[index]}));
        return Plot.plot({width: Math.min(width, 720), height: 380, grid: true, ariaLabel: "accuracy with the super-net's weights and when trained",
          x: {label: "test accuracy when trained, %"}, y: {label: "accuracy with the super-net's weights, %"},
          marks: [Plot.dot(points, {x: "table", y: "found", r: 3, fill: "var(--c4)"}),
            Plot.tip(points, Plot.pointer({x: "table", y: "found", title: "text"}))]});
      }, ["architecture", "when trained, %", "super-net's weights"],
      () => ranking.genotypes.map((text, index) => [text, ranking.table_accuracies[index],
        percent(ranking.supernet_accuracies[index])]), {key: "ranking"})),
  ].filter(Boolean);
}

function settings(facts) {
  const list = object => make("dl", {class: "settings"}, Object.entries(object).map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, plain(value)))));
  return [
    make("div", {class: "card"}, list(facts.settings), facts.changes.length ? table(["from epoch", "setting", "before", "after"],
      facts.changes.map(one => [one.epoch + 1, one.setting, one.before, one.after]), "settings changed on the way") : null),
    make("div", {class: "card"}, list({directory: facts.path, ...facts.machine}), facts.files ? make("p", {}, "Files: ",
      facts.files.flatMap(([name, address]) => [make("a", {href: address}, name), " "])) : null),
  ];
}

const recent = facts => facts.metrics.at(-1)?.seconds ?? 2;
keepUp(render, facts => facts.state == "running",
  facts => Math.min(30, Math.max(facts.live ? 1 : 2, recent(facts) / 3)));
