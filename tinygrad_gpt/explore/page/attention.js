// Attention maps of every head, and what the prediction at a chosen token teaches each position's key and value.
"use strict";

let flow = null; // {p, dk, dv}: Float32Arrays (layers, heads, T, T)
let target = 0;

/** Row r of head h in layer l, T numbers; all rows without r. */
function headRows(array, l, h, r = null) {
  const T = data.attention.words.length;
  const row = (i) => Array.from(array.subarray((((l * data.attention.heads) + h) * T + i) * T, (((l * data.attention.heads) + h) * T + i + 1) * T));
  return r === null ? Array.from({ length: T }, (_, i) => row(i)) : row(r);
}

function showAttention() {
  const { words, layers, heads, losses, targets } = data.attention;
  flow ??= { p: decode(data.attention.p), dk: decode(data.attention.dk), dv: decode(data.attention.dv) };
  const select = byId("layer");
  if (!select.options.length) {
    for (let l = 0; l < layers; l++) select.append(make("option", { value: l }, l));
    select.value = layers - 1;
    target = words.length - 1;
    select.addEventListener("change", showAttention);
    byId("words").addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      choose(Math.min(Math.max(target + by, 0), words.length - 1));
      event.preventDefault();
    });
  }
  const l = Number(select.value), all = Array.from({ length: heads }, (_, h) => h);
  const flows = { v: all.map((h) => headRows(flow.dv, l, h, target)), k: all.map((h) => headRows(flow.dk, l, h, target)) };
  const received = words.map((_, s) => Math.hypot(...flows.v.map((row) => row[s]), ...flows.k.map((row) => row[s])));
  const most = Math.max(...received) || 1;
  byId("words").replaceChildren(...words.map((word, t) => make("button", {
    role: "option", "aria-selected": t === target, tabindex: t === target ? 0 : -1, style: `--heat:${(received[t] / most).toFixed(3)}`,
    title: `‖(dk, dv)‖ ${number(received[t])}`, onclick: () => choose(t),
  }, word)));
  byId("chosen").replaceChildren("at ", make("b", {}, words[target]), " (position ", String(target), ") the target is ",
    make("b", {}, targets[target]), `, loss ${number(losses[target])}; the colour of a token: the gradient that its keys and values receive`);
  for (const side of ["v", "k"]) {
    heatmap(byId(`flow-${side}`), flows[side], { x: "", y: "head", xs: words, positive: true, cell: 20 });
  }
  const places = all.map((h) => make("figure", {}, make("figcaption", {}, `head ${h}`), make("div", { class: "plot" })));
  byId("heads").replaceChildren(...places);
  places.forEach((figure, h) => heatmap(figure.lastChild, headRows(flow.p, l, h), { x: "key", y: "query", positive: true, high: 1, cell: 16, marked: target }));
}

/** Make the prediction at position t the target, and keep the keyboard there. */
function choose(t) {
  target = t;
  showAttention();
  byId("words").children[t].focus();
}
