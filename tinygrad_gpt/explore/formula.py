"""An op's one-line `vjp`, "dA = dY Bᵀ;  dB = Aᵀ dY", typeset: as LaTeX, and from that by latex2mathml as MathML."""

import re

from tinygrad_gpt.explore.extra import require_extra

SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ᵀᵇᵖⁿⁱ", "0123456789+-()Tbpni", strict=True))
SYMBOLS = {
    "⊙": r"\odot ",
    "−": "-",
    "·": r"\cdot ",
    "Σ": r"\sum ",
    "Π": r"\prod ",
    "Φ": r"\Phi ",
    "φ": r"\varphi ",
    "θ": r"\theta ",
    "σ": r"\sigma ",
    "δ": r"\delta ",
    "π": r"\pi ",
    "≤": r"\le ",
    "≥": r"\ge ",
    "≠": r"\ne ",
    "⌊": r"\lfloor ",
    "⌋": r"\rfloor ",
    "∞": r"\infty ",
    "½": r"\tfrac{1}{2}",
    "…": r"\ldots ",
    "′": "'",
    "∂": r"\partial ",
    "+=": r"\text{+=}",
    "{": r"\{",
    "}": r"\}",
}
FUNCTIONS = {"exp", "ln", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min"}
TOKEN = re.compile(
    r"(?P<space> +)"
    r"|(?P<root>√\((?P<inner>[^()]*(?:\([^()]*\)[^()]*)*)\)|√(?P<bare>\w))"
    rf"|(?P<power>[{''.join(SUPERSCRIPTS)}]+)"
    r"|_(?:\{(?P<set>[^}]*)\}|(?P<index>\w+))"
    r"|(?P<word>[A-Za-z][\u0302\u0304]?(?:[A-Za-z][\u0302\u0304]?)*)"
    r"|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<other>\+=|.)"
)
PRODUCT = re.compile(  # a space that means times; one that only ends the name of a command stays
    r"(?P<command>\\[A-Za-z]+ +)|(?<=[\w})\]']) (?=[\w(]|\\(?:mathrm|hat|bar|sqrt|tfrac|sigma|Phi|varphi|theta|pi)\b)"
)
ACCENTS = {"\u0302": r"\hat", "\u0304": r"\bar"}


def mathml(vjp: str) -> list[str]:
    """One <math> element for each line of a formula."""
    convert = require_extra("latex2mathml.converter").convert
    return [convert(latex(part), display="block") for part in lines(vjp)]


def lines(vjp: str) -> list[str]:
    """The parts of a formula: gradients, which ";" separates, and definitions of what stands in them: ", s = σ(2u)"."""
    return [part for part in re.split(r";\s*|, (?=(?!d)\w+ = )", vjp) if part.strip()]


def latex(formula: str) -> str:
    """A formula in the words of `vjp` as LaTeX."""
    tokens = "".join(map(_token, TOKEN.finditer(formula.strip()))).strip()
    # Beside a word a space is seen, unless an operator makes room by itself.
    tokens = re.sub(r"(\\text\{\w+\}) (?!\\[co]d|[-+=/<>])", r"\1\\;", tokens)
    tokens = re.sub(r"(?<=[\w})\]]) (\\text)", r"\\;\1", tokens)
    return PRODUCT.sub(lambda match: match["command"] or r"\,", tokens)


def _token(match: re.Match) -> str:
    kind = match.lastgroup
    if match["space"]:
        return r"\;" if len(match["space"]) > 1 else " "
    if match["root"]:
        return rf"\sqrt{{{latex(match['inner'] or match['bare'])}}}"
    if match["power"]:
        return f"^{{{''.join(map(SUPERSCRIPTS.__getitem__, match['power']))}}}"
    if kind in ("set", "index"):
        return f"_{{{latex(match['set'] or match['index'])}}}"
    if match["word"]:
        return _word(match["word"])
    return SYMBOLS.get(match[0], match[0])


def _word(word: str) -> str:
    if word in FUNCTIONS:
        return rf"\{word} "
    for mark, accent in ACCENTS.items():
        if word.endswith(mark):
            return rf"{accent}{{{word[:-1]}}}"
    if len(word) == 1:
        return word
    if word[0] == "d" and len(word) == 2:  # dx, dA: the gradient of x, of A
        return rf"\mathrm{{d}}{word[1]}"
    return rf"\text{{{word}}}"
