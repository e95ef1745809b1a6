// Where everything stands: each group of nodes is laid out by dagre on its own, and is then one box in the group around it.
"use strict";

const LINE = 15; // px of a line of text in a node
const PAD = { side: 12, top: 22, bottom: 10 }; // px around a group's nodes, its name on top

/** {boxes: centre and size by id, lines: points of each edge, width, height} for what `visible` gives. */
function layOut({ nodes, edges }) {
  const chains = new Map(nodes.map(({ id, group }) => [id, [...(group === null ? [] : path(group)).map((c) => `group ${c}`), id]]));
  const members = new Map([["", new Map()]]); // of each group, "" for the whole: its nodes and groups, with the edges out
  for (const chain of chains.values()) {
    chain.forEach((id, depth) => {
      members.get(chain[depth - 1] ?? "").set(id, new Map());
      if (depth < chain.length - 1 && !members.has(id)) members.set(id, new Map());
    });
  }
  const join = (level, v, w, weight) => { // one edge for all that lead the same way
    if (!level.get(v).has(w)) level.get(v).set(w, { v, w, minlen: 1, weight, width: 0, height: 0 });
    return level.get(v).get(w);
  };
  const routes = edges.map(({ from, to }) => { // the pieces of an edge: between two neighbours, then into their groups
    const [a, b] = [chains.get(from), chains.get(to)];
    const weight = from.startsWith("leaf") ? 1 : 4, depth = a.findIndex((id, i) => id !== b[i]);
    const pieces = [join(members.get(a[depth - 1] ?? ""), a[depth], b[depth], weight)];
    for (let i = depth; i < b.length - 1; i++) {
      const level = members.get(b[i]), port = `port ${from}`; // where it comes in, at the group's left side
      if (!level.has(port)) level.set(port, new Map());
      pieces.push(join(level, port, b[i + 1], weight));
    }
    return pieces;
  });

  const boxes = new Map();
  const size = (id) => id.startsWith("group") ? arrange(id) : id.startsWith("port") ? { width: 1, height: 1 }
    : { width: Math.max(...label(id).map((line) => line.length)) * 7.1 + 18, height: 2 * LINE + 10 };
  function arrange(group) {
    const level = members.get(group);
    const inside = [...level.keys()].map((v) => ({ v, ...size(v) }));
    dagre.layout(inside, [...level.values()].flatMap((out) => [...out.values()]), { rankdir: "LR", nodesep: 16, ranksep: 34 }, {});
    const left = Math.min(...inside.map((b) => b.x - b.width / 2)), right = Math.max(...inside.map((b) => b.x + b.width / 2));
    const top = Math.min(...inside.map((b) => b.y - b.height / 2)), bottom = Math.max(...inside.map((b) => b.y + b.height / 2));
    for (const box of inside) boxes.set(box.v, { ...box, x: box.x - left + PAD.side, y: box.y - top + PAD.top, group });
    for (const out of level.values()) for (const edge of out.values()) {
      edge.group = group;
      edge.points = edge.points.flatMap(({ x, y }, i, all) => { // straight past the boxes that stand at the same x
        const widest = i === 0 || i === all.length - 1 ? 0 : Math.max(0, ...inside.filter((b) => Math.abs(b.x - x) < 1).map((b) => b.width));
        return (widest ? [x - widest / 2, x + widest / 2] : [x]).map((at) => ({ x: at + PAD.side - left, y: y + PAD.top - top }));
      });
    }
    return { width: right - left + 2 * PAD.side, height: bottom - top + PAD.top + PAD.bottom };
  }

  const whole = arrange("");
  const corner = (group) => { // of a group on the page; its inside is measured from there
    if (!group) return { x: 0, y: 0 };
    const box = boxes.get(group), outer = corner(box.group);
    return { x: outer.x + box.x - box.width / 2, y: outer.y + box.y - box.height / 2 };
  };
  const moved = ({ x, y }, by) => ({ x: x + by.x, y: y + by.y });
  const placed = new Map([...boxes].map(([id, box]) => [id, { ...box, ...moved(box, corner(box.group)) }]));
  const side = (id, sign, y = placed.get(id).y) => ({ x: placed.get(id).x + sign * placed.get(id).width / 2, y });
  const lines = edges.map(({ from }, i) => {
    const line = routes[i].flatMap((piece, n) => {
      const points = piece.points.map((point) => moved(point, corner(piece.group)));
      return n < routes[i].length - 1 ? points.slice(0, -1) : points; // the group's border is not the end
    });
    if (routes[i][0].v !== from) line.splice(0, 1, side(from, 1), side(routes[i][0].v, 1, placed.get(from).y)); // out of its group
    return line;
  });
  return { boxes: placed, lines, ...whole };
}
