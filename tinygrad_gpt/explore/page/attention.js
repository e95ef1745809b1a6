// Attention maps of every head, and what the prediction at a chosen token teaches each position's key and value.
"use strict";

let flow = null; // {p, dk, dv}: Float32Arrays (layers, heads, T, T)
let target = 0;
const SMALLEST_MAP = 40; // px

/** Row r of head h in layer l, T numbers: r + 1 that are kept, and 0 for what lies ahead of r. */
function headRow(array, l, h, r) {
  const T = data.attention.words.length, start = (l * data.attention.heads + h) * T * (T + 1) / 2 + r * (r + 1) / 2;
  return Array.from({ length: T }, (_, s) => s > r ? 0 : array[start + s]);
}

/** A token with what cannot be seen made visible. */
const spelled = (word) => word.replaceAll("\n", "↵").replace(/^ $/, "␣");

function showAttention() {
  const { words, layers, heads, losses, targets } = data.attention;
  flow ??= { p: decode(data.attention.p), dk: decode(data.attention.dk), dv: decode(data.attention.dv) };
  const select = byId("layer");
  if (!select.options.length) {
    for (let l = 0; l < layers; l++) select.append(make("option", { value: l }, l));
    select.value = layers - 1;
    target = words.length - 1;
    select.addEventListener("change", showAttention);
    byId("overview").addEventListener("click", (event) => {
      select.value = Math.min(Math.floor(event.offsetY / event.target.clientHeight * layers), layers - 1);
      showAttention();
    });
    byId("words").addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      choose(Math.min(Math.max(target + by, 0), words.length - 1));
      event.preventDefault();
    });
  }
  const l = Number(select.value), all = Array.from({ length: heads }, (_, h) => h), names = words.map(spelled);
  const flows = { v: all.map((h) => headRow(flow.dv, l, h, target)), k: all.map((h) => headRow(flow.dk, l, h, target)) };
  const received = words.map((_, s) => Math.hypot(...flows.v.map((row) => row[s]), ...flows.k.map((row) => row[s])));
  const most = Math.max(...received) || 1;
  byId("words").replaceChildren(...names.map((name, t) => make("button", {
    role: "option", "aria-selected": t === target, tabindex: t === target ? 0 : -1, style: `--heat:${(received[t] / most).toFixed(3)}`,
    title: `‖(dk, dv)‖ ${number(received[t])}`, onclick: () => choose(t),
  }, name)));
  byId("chosen").replaceChildren("at ", make("b", {}, names[target]), ` (position ${target}) the target is `,
    make("b", {}, spelled(targets[target])), `, loss ${number(losses[target])}; the colour of a token: the gradient that its keys and values receive`);
  for (const side of ["v", "k"]) {
    const hover = (h, s) => `head ${h}, position ${s} “${names[s]}”`;
    heatmap(byId(`flow-${side}`), flows[side], { y: "head", xs: names, positive: true, cell: 20, row: 15, hover });
  }
  const places = all.map((h) => make("figure", {}, make("figcaption", {}, `head ${h}`), make("div", { class: "plot" })));
  byId("heads").replaceChildren(...places);
  places.forEach((figure, h) => heatmap(figure.lastChild, words.map((_, t) => headRow(flow.p, l, h, t)), {
    x: "key", y: "query", positive: true, high: 1, cell: 16, marked: target,
    hover: (t, s) => `query ${t} “${names[t]}”, key ${s} “${names[s]}”`,
  }));
  drawOverview(l);
}

/** All maps at once, a pixel a number: layers down, heads across, layer `l` marked at the left. */
function drawOverview(l) {
  const { words, layers, heads } = data.attention, T = words.length, mark = 3;
  const canvas = byId("overview");
  [canvas.width, canvas.height] = [mark + heads * (T + 1), layers * (T + 1) - 1];
  canvas.style.width = `${mark + heads * Math.max(T + 1, SMALLEST_MAP)}px`;
  const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
  const ink = theme() === "dark" ? [211, 176, 255] : [75, 29, 117];
  for (let layer = 0; layer < layers; layer++) for (let h = 0; h < heads; h++) for (let t = 0; t < T; t++) {
    headRow(flow.p, layer, h, t).forEach((p, s) => {
      const pixel = (layer * (T + 1) + t) * canvas.width + mark + h * (T + 1) + s;
      image.data.set([...ink, 20 + 235 * p ** 0.4], 4 * pixel);
    });
  }
  context.putImageData(image, 0, 0);
  context.fillStyle = colour("--accent");
  context.fillRect(0, l * (T + 1), mark - 1, T);
}

/** Make the prediction at position t the target, and keep the keyboard there. */
function choose(t) {
  target = t;
  showAttention();
  byId("words").children[t].focus();
}
