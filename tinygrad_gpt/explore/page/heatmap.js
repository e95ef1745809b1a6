// Arrays as heat maps, by Plotly: blue below zero, red above, the value on hover.
"use strict";

const SIGNED = { light: [[0, "#2166ac"], [0.5, "#f7f7f7"], [1, "#b2182b"]], dark: [[0, "#2f78c4"], [0.5, "#1d222b"], [1, "#cf4640"]] };
const POSITIVE = { // steep at first: attention to one of many is a small number
  light: [[0, "#f4f4f8"], [0.06, "#dcd3ea"], [0.25, "#a487c4"], [1, "#4b1d75"]],
  dark: [[0, "#1d222b"], [0.06, "#362f4a"], [0.25, "#6f52a0"], [1, "#d3b0ff"]],
};
const LETTER = { width: 6.2, height: 8 }; // px, of a name beside a cell
const PLOT = { displayModeBar: false, responsive: true };

const theme = () => document.documentElement.dataset.theme;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** What all plots share: transparent, in the page's colours. */
function plotLayout(more) {
  const axis = { color: colour("--faint"), gridcolor: colour("--line"), zerolinecolor: colour("--line"), automargin: true };
  const { xaxis = {}, yaxis = {}, ...rest } = more;
  return {
    paper_bgcolor: "transparent", plot_bgcolor: "transparent", margin: { l: 8, r: 8, t: 6, b: 6 }, minreducedheight: 10,
    font: { family: "inherit", size: 11, color: colour("--text") }, hoverlabel: { font: { family: "monospace" } },
    xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis }, ...rest,
  };
}

/**
 * One matrix z (rows of numbers) with the names of its axes, x also with names of its columns. A positive one is coloured
 * from zero up; rows are at least `row` px high; one row may be marked; hover(row, column) says where a cell is.
 */
function heatmap(place, z, { x = "", y = "", xs = null, positive = false, cell = 26, row = 0, high = null, marked = null,
  hover = (r, c) => `${y || "row"} ${r}, ${x || "column"} ${c}` } = {}) {
  const [height, width] = [z.length, z[0].length];
  const finite = z.flat().filter(Number.isFinite);
  const most = high ?? (Math.max(...finite.map(Math.abs), 0) || 1);
  const room = place.clientWidth || 240;
  const size = Math.max(Math.min(cell, 300 / height, (room - 40) / width), 3);
  const written = size >= 24 && width * 34 <= room - 20;
  const trace = {
    type: "heatmap", z, zmin: positive ? 0 : -most, zmax: most, showscale: false, xgap: size > 8 ? 1 : 0, ygap: size > 8 ? 1 : 0,
    colorscale: (positive ? POSITIVE : SIGNED)[theme()],
    customdata: z.map((row, r) => row.map((value, c) => `${hover(r, c).replaceAll("<", "&lt;")}: <b>${number(value)}</b>`)),
    hovertemplate: "%{customdata}<extra></extra>",
  };
  if (written) Object.assign(trace, { text: z.map((row) => row.map(short)), texttemplate: "%{text}", textfont: { size: 9.5 } });
  const longest = xs && size >= LETTER.height ? Math.max(...xs.map((name) => name.length)) * LETTER.width : 0; // px; 0: no room
  const upright = longest > size;
  const ticks = (names, n) => names
    ? { tickvals: names.map((_, i) => i), ticktext: names, tickangle: upright ? -90 : 0, tickfont: { family: "monospace", size: 10 } }
    : { dtick: n <= 12 ? 1 : Math.ceil(n / 6), tickfont: { size: 9 } };
  Plotly.react(place, [trace], plotLayout({
    height: Math.max(size * height, (written ? 26 : row) * height, 20) + (x || xs ? 40 : 26) + (upright ? longest : 0),
    shapes: marked === null ? [] : [{ type: "rect", x0: -0.5, x1: width - 0.5, y0: marked - 0.5, y1: marked + 0.5, line: { color: colour("--accent"), width: 1 } }],
    xaxis: { title: { text: x, standoff: 2, font: { size: 10 } }, ...ticks(longest ? xs : null, width), showgrid: false, zeroline: false, side: "bottom" },
    yaxis: { title: { text: y, standoff: 2, font: { size: 10 } }, ...ticks(null, height), showgrid: false, zeroline: false, autorange: "reversed" },
  }), PLOT);
}

/** Few digits, to fit into a cell. */
function short(x) {
  if (!Number.isFinite(x)) return number(x);
  const size = Math.abs(x);
  const text = x === 0 ? "0" : size >= 1000 || size < 0.0005 ? x.toExponential(0) : x.toFixed(size < 1 ? 3 : size < 100 ? 2 : 0);
  return text.replace("-", "−").replace("e-", "e−").replace("e+", "e");
}

/** A card for array `n`: its name and numbers, a heat map, and selectors for the dims before the last two. */
function arrayCard(n, title, shape, notes = []) {
  const array = data.arrays[n];
  const card = make("figure", { class: "card" });
  card.append(make("figcaption", {}, make("b", {}, title), " ", make("code", {}, shape)));
  card.append(make("p", { class: "numbers" }, `norm ${number(array.norm)} · mean ${number(array.mean)} · ${number(array.low)} … ${number(array.high)}`));
  for (const note of notes) card.append(make("p", { class: "sums" }, note));
  if (!array.kept.length) {
    card.append(make("p", { class: "scalar" }, number(values(n)[0])));
    return card;
  }
  const index = array.kept.slice(0, -2).map(() => 0);
  const plot = make("div", { class: "plot" });
  const show = () => heatmap(plot, rows(n, index), { x: named(array.axes.at(-1)), y: array.axes.length > 1 ? named(array.axes.at(-2)) : "" });
  array.kept.slice(0, -2).forEach((size, i) => {
    if (size < 2) return;
    const select = make("select", { "aria-label": `index along ${array.axes[i]}`, onchange: () => { index[i] = Number(select.value); show(); } },
      ...Array.from({ length: size }, (_, v) => make("option", { value: v }, `${named(array.axes[i]) || "dim " + i} ${v}`)));
    card.append(select);
  });
  card.append(plot);
  if (array.kept.join() !== array.shape.join()) card.append(make("p", { class: "numbers" }, `a corner of it: ${array.kept.join(" × ")} of ${array.shape.join(" × ")}`));
  card.show = show;
  return card;
}

/** The name of an axis, nothing where only its size is known. */
const named = (axis) => /^\d+$/.test(axis) ? "" : axis;
