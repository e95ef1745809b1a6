// The graph as a picture: values to the right, gradients back to the left.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const [SMALLEST, LARGEST] = [0.75, 1.05]; // scale at which the walk shows the graph

function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** The two lines of text in a node. */
function label(id) {
  const n = idNumber(id);
  if (id.startsWith("leaf")) return [data.leaves[n].name.split(".").slice(-2).join(".") || "leaf", data.leaves[n].shape];
  if (isCall(id)) return [`▸ ${data.calls[n].name}`, `${data.calls[n].kind}, ${data.calls[n].steps.length} ops`];
  const step = data.steps[n];
  const alone = step.call !== null && data.calls[step.call].steps.length === 1;
  return [alone ? `${data.calls[step.call].name}: ${step.name}` : step.name, step.outputs[0].shape];
}

class Graph {
  constructor(place, onChoose, onToggle) {
    this.place = place;
    this.onChoose = onChoose;
    this.onToggle = onToggle;
    this.view = null; // {x, y, scale}: what the user has moved to
    this.addPanning();
  }

  /** Lay out and draw what is visible. */
  show({ nodes, edges, stops }) {
    this.stops = stops;
    const { boxes, lines, width, height } = layOut({ nodes, edges });
    this.boxes = boxes;
    this.bounds = { x: 0, y: 0, width, height };
    this.layer = draw("g", {});
    const groups = [...boxes.keys()].filter((id) => id.startsWith("group")).map(idNumber);
    this.layer.append(...groups.sort((a, b) => path(a).length - path(b).length).map((c) => this.drawGroup(c)));
    this.edges = edges.map((edge, i) => ({ ...edge, line: this.drawEdge(edge, lines[i]) }));
    this.layer.append(...this.edges.map(({ line }) => line));
    this.layer.append(...nodes.map(({ id }) => this.drawNode(id)));
    const svg = draw("svg", { width: "100%", height: "100%" }, this.markers(), this.layer);
    this.place.replaceChildren(svg);
    this.zoom();
  }

  markers() {
    const arrow = (id) => draw("marker", { id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" },
      draw("path", { d: "M0,0 L8,4 L0,8 z" }));
    return draw("defs", {}, arrow("forward"), arrow("back"));
  }

  drawGroup(c) {
    const { x, y, width, height } = this.boxes.get(`group ${c}`);
    const g = draw("g", { class: "group", role: "button", "data-call": c });
    const [left, right, top] = [x - width / 2, x + width / 2, y - height / 2];
    g.append(
      draw("rect", { x: left, y: top, width, height, rx: 8 }),
      draw("text", { x: left + 8, y: top + 15 }, `▾ ${data.calls[c].name}`),
    );
    if (width > 600) g.append(draw("text", { x: right - 8, y: top + 15, "text-anchor": "end" }, `${data.calls[c].name} ▾`));
    for (const text of g.querySelectorAll("text")) text.addEventListener("click", () => this.onToggle(c));
    return g;
  }

  drawEdge({ from, to }, points) {
    const d = points.map(({ x, y }, i) => {
      if (i === 0) return `M${x},${y}`;
      const before = points[i - 1], middle = (before.x + x) / 2;
      return `C${middle},${before.y} ${middle},${y} ${x},${y}`;
    }).join(" ");
    return draw("path", { class: "edge", d, "data-from": from, "data-to": to });
  }

  drawNode(id) {
    const { x, y, width, height } = this.boxes.get(id);
    const [name, below] = label(id);
    const kind = id.split(" ")[0];
    const g = draw("g", { class: `node ${kind}`, "data-id": id, role: kind === "leaf" ? "img" : "button", transform: `translate(${x - width / 2},${y - height / 2})` });
    g.append(
      draw("rect", { width, height, rx: kind === "leaf" ? height / 2 : 6 }),
      draw("text", { x: width / 2, y: LINE + 1, class: "name" }, name),
      draw("text", { x: width / 2, y: 2 * LINE + 1, class: "shape" }, below),
      draw("title", {}, `${name} ${below}`),
    );
    if (kind !== "leaf") g.addEventListener("click", () => this.onChoose(id));
    if (kind === "call") g.addEventListener("dblclick", () => this.onToggle(idNumber(id)));
    return g;
  }

  /** Colour what backward has passed when it stands at stop number `position`. */
  mark(position) {
    const place = new Map(this.stops.map((id, i) => [id, i]));
    const state = (i) => i < position ? "done" : i === position ? "now" : "todo";
    for (const node of this.layer.querySelectorAll(".node")) {
      node.dataset.state = node.classList.contains("leaf") ? "todo" : state(place.get(node.dataset.id));
    }
    for (const { from, to, line, grads } of this.edges) {
      line.dataset.state = grads.length ? state(place.get(to)) : "todo";
      const flows = line.dataset.state !== "todo";
      line.setAttribute(flows ? "marker-start" : "marker-end", `url(#${flows ? "back" : "forward"})`);
      line.removeAttribute(flows ? "marker-end" : "marker-start");
      if (flows && from.startsWith("leaf")) this.layer.querySelector(`[data-id="${from}"]`).dataset.state = "done";
    }
    this.keepInSight(this.boxes.get(this.stops[position]));
  }

  // ---------------------------------------------------------------- moving and zooming

  /** The whole graph. */
  fit() {
    const { width, height } = this.place.getBoundingClientRect();
    this.look(Math.min(width / this.bounds.width, height / this.bounds.height, LARGEST));
  }

  /** As large as the height allows, but readable. */
  zoom() {
    const { height } = this.place.getBoundingClientRect();
    this.look(Math.min(Math.max(height / this.bounds.height, SMALLEST), LARGEST));
  }

  /** The graph at `scale`, in the middle, or where it is too wide with its end, the loss, in sight. */
  look(scale) {
    const { width, height } = this.place.getBoundingClientRect();
    const { bounds } = this, free = width - bounds.width * scale;
    const middle = (height - bounds.height * scale) / 2;
    this.view = { scale, x: (free > 0 ? free / 2 : free) - bounds.x * scale, y: middle - bounds.y * scale };
    this.apply();
  }

  apply() {
    const { x, y, scale } = this.view;
    this.layer.setAttribute("transform", `translate(${x},${y}) scale(${scale})`);
  }

  /** Move as little as it takes for a node to have neighbours in sight on both sides. */
  keepInSight(box) {
    const { width, height } = this.place.getBoundingClientRect();
    const { view, bounds } = this;
    const between = (x, low, high) => Math.min(Math.max(x, low), high);
    if (bounds.width * view.scale > width) {
      view.x += between(box.x * view.scale + view.x, width * 0.4, width * 0.7) - (box.x * view.scale + view.x);
      view.x = between(view.x, width - (bounds.x + bounds.width) * view.scale, -bounds.x * view.scale);
    }
    if (bounds.height * view.scale > height) {
      view.y += between(box.y * view.scale + view.y, height * 0.25, height * 0.75) - (box.y * view.scale + view.y);
    }
    this.apply();
  }

  addPanning() {
    let from = null;
    this.place.addEventListener("pointerdown", (event) => { from = { x: event.clientX - this.view.x, y: event.clientY - this.view.y }; });
    window.addEventListener("pointermove", (event) => {
      if (!from) return;
      Object.assign(this.view, { x: event.clientX - from.x, y: event.clientY - from.y });
      this.apply();
    });
    window.addEventListener("pointerup", () => { from = null; });
    this.place.addEventListener("wheel", (event) => {
      event.preventDefault();
      const { left, top } = this.place.getBoundingClientRect();
      const { view } = this, factor = Math.exp(-event.deltaY / 500);
      const scale = Math.min(Math.max(view.scale * factor, 0.15), 3);
      const [x, y] = [event.clientX - left, event.clientY - top];
      this.view = { scale, x: x - (x - view.x) * scale / view.scale, y: y - (y - view.y) * scale / view.scale };
      this.apply();
    }, { passive: false });
  }
}
