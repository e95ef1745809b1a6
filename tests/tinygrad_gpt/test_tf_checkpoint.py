"""OpenAI's own files: a checkpoint that TensorFlow wrote (data/make_openai_gpt2.py), read without TensorFlow."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tinygrad_gpt import GPT
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.tf_checkpoint import FOOTER_SIZE, _handle, _masked_crc32c, read_bundle

OPENAI = Path(__file__).parent / "data" / "openai-gpt2"
DATA = "model.ckpt.data-00000-of-00001"


@pytest.fixture
def folder(tmp_path) -> Path:
    return Path(shutil.copytree(OPENAI, tmp_path / "openai"))


def made(number: int, shape: tuple[int, ...]) -> np.ndarray:
    """What make_openai_gpt2.py has put into the variable of this number."""
    return (number + 0.001 * np.arange(np.prod(shape)).reshape(shape)).astype(np.float32)


def test_every_variable_is_read():
    variables = read_bundle(OPENAI / "model.ckpt")
    assert len(variables) == 28
    assert list(variables) == sorted(variables)
    for number, read in enumerate(variables.values()):
        np.testing.assert_array_equal(read(), made(number, read().shape))
    assert variables["model/wte"]().shape == (11, 4)
    assert variables["model/h1/mlp/c_fc/w"]().shape == (1, 4, 16)


# The order of the variables within a block, and at the end; it is TensorFlow's, by name.
IN_BLOCK = [
    *("attn.c_attn.bias", "attn.c_attn.weight", "attn.c_proj.bias", "attn.c_proj.weight"),
    *("ln_1.bias", "ln_1.weight", "ln_2.bias", "ln_2.weight"),
    *("mlp.c_fc.bias", "mlp.c_fc.weight", "mlp.c_proj.bias", "mlp.c_proj.weight"),
]
NAMES = [f"transformer.h.{n}.{name}" for n in range(2) for name in IN_BLOCK]
NAMES += [f"transformer.{name}" for name in ("ln_f.bias", "ln_f.weight", "wpe.weight", "wte.weight")]


@pytest.mark.parametrize("inside", [False, True], ids=["in the folder", "in its folder `checkpoint`"])
def test_each_becomes_the_parameter_that_it_is(inside, folder):
    if inside:  # as gpt-2-simple lays it out
        (folder / "checkpoint").unlink()
        (folder / "checkpoint").mkdir()
        for path in folder.glob("model.ckpt.*"):
            path.rename(folder / "checkpoint" / path.name)
    model = GPT.from_pretrained(folder)
    assert (model.config.block_size, model.config.vocab_size, model.config.n_head) == (8, 11, 2)
    parameters = dict(model.named_parameters())
    assert sorted(parameters) == sorted(NAMES)
    for number, name in enumerate(NAMES):
        ours = parameters[name].detach().numpy()
        is_matrix = ".c_" in name and ours.ndim == 2
        theirs = made(number, ours.shape[::-1]).T if is_matrix else made(number, ours.shape)
        np.testing.assert_array_equal(ours, theirs, err_msg=name)


def resigned(index: bytes, old: bytes, new: bytes) -> bytes:
    """The index with a change in its first block, and that block's checksum made right again."""
    (end, _), _ = _handle(index[-FOOTER_SIZE:], 0)  # where the next block begins
    block = index[: end - 4].replace(old, new, 1)
    assert len(block) == end - 4 and block != index[: end - 4]
    return block + _masked_crc32c(block).to_bytes(4, "little") + index[end:]


def edit(name: str, change):
    """A damage: the file's bytes as `change` makes them."""
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def hparams(**changes):
    return edit("hparams.json", lambda data: json.dumps(json.loads(data) | changes).encode())


INDEX_DAMAGED = "model.ckpt.index is damaged, or not the index of a TensorFlow checkpoint."


@pytest.mark.parametrize(
    "damage, sentence",
    [
        (edit("model.ckpt.index", lambda data: b""), INDEX_DAMAGED),
        (edit("model.ckpt.index", lambda data: data[:-1]), INDEX_DAMAGED),
        (edit("model.ckpt.index", lambda data: data[100:]), INDEX_DAMAGED),
        (edit("model.ckpt.index", lambda data: data[:60] + b"?" + data[61:]), INDEX_DAMAGED),
        (edit("model.ckpt.index", lambda data: data[:-48] + b"\xff" * 40 + data[-8:]), INDEX_DAMAGED),
        (edit("model.ckpt.index", lambda data: b"a text, and a long one" * 10), INDEX_DAMAGED),
        (lambda folder: (folder / "model.ckpt.index").unlink(), "should hold one TensorFlow checkpoint"),
        (
            lambda folder: shutil.copy(folder / "model.ckpt.index", folder / "model-2.index"),
            "found model-2.index, model.ckpt.index.",
        ),
        (lambda folder: (folder / DATA).unlink(), f"lacks {DATA}."),
        (edit(DATA, lambda data: data[:-1]), f"{DATA} is cut short: model/wte should end at byte 2,288."),
        (  # the type of the first variable: int64
            edit("model.ckpt.index", lambda data: resigned(data, b"\x08\x01\x12", b"\x08\x09\x12")),
            "The variable model/h0/attn/c_attn/b in .* is not a whole float32 array",
        ),
        (  # its shape: 11 in place of 12, but the size of 12
            edit("model.ckpt.index", lambda data: resigned(data, b"\x12\x02\x08\x0c", b"\x12\x02\x08\x0b")),
            "The variable model/h0/attn/c_attn/b in .* is not a whole float32 array",
        ),
        (edit("hparams.json", lambda data: b"{"), "hparams.json is not JSON"),
        (hparams(n_ctx="8"), "hparams.json should give n_ctx as a whole number above 0, got '8'."),
        (hparams(n_head=3), "hparams.json: n_embd .4. must be a multiple of n_head .3."),
        (hparams(n_vocab=12), r"\n  model/wte has shape \(11, 4\), expected \(12, 4\)"),
        (hparams(n_layer=3), r"\n  model/h2/attn/c_attn/w is missing, expected \(1, 4, 12\)"),
        (hparams(n_layer=1), r"\n  model/h1/ln_1/g \(4,\) is not part of the model"),
    ],
)
def test_what_cannot_be_read_says_so(damage, sentence, folder):
    damage(folder)
    with pytest.raises(InputError, match=sentence):
        GPT.from_pretrained(folder)
