"""Put a graph in order: every node after its inputs.

backward has to visit a value only when all gradients that reach it have arrived, so after everything that used it. Read
from the back, a topological order is just that. GPTs make deep graphs, and Python allows about a thousand calls inside
each other: so no recursion here.
"""

from tinygrad_gpt.exercises.parts import Mistake, Read, Wrong


def topological_order(root):
    """A list of all nodes that root depends on, and root itself, each once, after all of its own inputs.

    A node has an attribute `inputs`, a tuple of nodes, empty for a leaf. The graph has no cycles, but a node may be the
    input of several others, or twice of the same. It may be 100,000 nodes deep.
    """
    order, seen = [], set()
    stack = [(root, False)]
    while stack:
        node, inputs_are_done = stack.pop()
        if inputs_are_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))  # comes off the stack again when all that is put on it now is done
            stack.extend((x, False) for x in node.inputs)
    return order


HINTS = [
    "Recursively it would be: visit(node): if it was seen, return; visit all inputs; append the node. Write it that "
    "way first, watch it fail on the deep graph, then replace the calls by a list that you use as a stack.",
    "A recursive visit has two moments: before its inputs and after them. Put pairs on the stack that say which.",
    "Take a pair off. At the first moment: if the node is new, put it back for its second moment, and its inputs on "
    "top of it. At the second moment its inputs are done: append it to the order.",
]
READ = [
    Read(
        "tensor/autograd.py", "reachable", "the engine's way: ops are numbered as they are made, and sorted by number"
    ),
    Read("tensor/autograd.py", "run_backward", "the walk over that order"),
]
MISTAKES = [
    Mistake("elif node not in seen:", "else:", "Nodes are visited again: remember which were seen."),
    Mistake(
        "    return order",
        "    return order[::-1]",
        "That is the order of backward's visits: reverse it there, not here.",
    ),
]

DEPTH = 100_000


class Node:
    """A named node, so that a message can say which one is meant."""

    def __init__(self, name, *inputs):
        self.name, self.inputs = name, inputs


def check(student, draw):
    a, b = Node("A"), Node("B")
    _check_graph(student, "a single node", [a])
    _check_graph(student, "C = f(A, B)", [a, b, Node("C", a, b)])
    twice = Node("C", a, a)
    _check_graph(student, "C = f(A, A)", [a, twice])
    d = Node("D", a)
    e, f = Node("E", d), Node("F", d)
    _check_graph(student, "D = f(A); E = f(D); F = f(D); G = f(E, F)", [a, d, e, f, Node("G", e, f)])
    nodes = [Node("n0")]
    for i in range(1, 30):
        inputs = [nodes[int(j)] for j in draw.rng.integers(0, i, size=2)]
        nodes.append(Node(f"n{i}", nodes[-1], *inputs))
    _check_graph(student, "30 nodes at random", nodes)
    chain = [Node("n0")]
    for i in range(1, DEPTH):
        chain.append(Node(f"n{i}", chain[-1]))
    _check_graph(student, f"a chain of {DEPTH:,} nodes", chain)
    return f"Right for every graph, one of them {DEPTH:,} nodes deep."


def _check_graph(student, graph, nodes):
    order = student.topological_order(nodes[-1])
    if not isinstance(order, list):
        raise Wrong(f"It returns {type(order).__name__}, expected a list of nodes.", {"graph": graph})
    shown = {"graph": graph, "order": " ".join(getattr(node, "name", repr(node)) for node in order[:12])}
    place = {node: i for i, node in enumerate(order)}
    for node in nodes:
        if node not in place:
            raise Wrong(f"{node.name} is missing.", shown)
    if len(place) < len(order):
        node = next(node for i, node in enumerate(order) if place[node] != i)
        count = order.count(node)
        raise Wrong(f"{node.name} is there {count} times: a node that is reached on two ways is listed once.", shown)
    if len(order) > len(nodes):
        raise Wrong(f"It has {len(order)} nodes, expected {len(nodes)}.", shown)
    if len(nodes) > 1 and order[0] is nodes[-1]:
        raise Wrong("It is the other way round: the inputs come first, root last.", shown)
    for node in nodes:
        for x in node.inputs:
            if place[x] > place[node]:
                raise Wrong(f"{node.name} stands before {x.name}, which it is made from.", shown)
