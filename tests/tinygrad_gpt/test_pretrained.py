"""GPT-2 in and out, beside transformers: the same logits, loss and gradients, and a sentence for what does not fit.

The models are random, with all biases and norms moved off zero and one, so that a mix-up of two arrays shows.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils.logging import disable_progress_bar

import nn
import tensor
from tinygrad_gpt import GPT, GPTConfig, pretrained
from tinygrad_gpt.errors import InputError
from tinygrad_gpt.pretrained import find_vocabulary, parameter_shapes

disable_progress_bar()
ROOT = Path(__file__).parents[2]
TINY = {"vocab_size": 11, "n_positions": 8, "n_embd": 12, "n_layer": 2, "n_head": 3}
TINY |= {"bos_token_id": None, "eos_token_id": None}
# OpenAI's models: layers, heads, channels, parameters.
SIZES = {
    "gpt2": (12, 12, 768, 124_439_808),
    "gpt2-medium": (24, 16, 1024, 354_823_168),
    "gpt2-large": (36, 20, 1280, 774_030_080),
    "gpt2-xl": (48, 25, 1600, 1_557_611_200),
}


def their_model(**settings) -> GPT2LMHeadModel:
    """A random model of transformers', without dropout, in float32."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(**settings)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += 0.1 * torch.randn_like(parameter)
    return model


def tokens(vocab_size: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets, (B, T) each."""
    x, y = np.random.default_rng(0).integers(vocab_size, size=(2, *shape))
    return x, y


def their_step(model: GPT2LMHeadModel, x: np.ndarray, y: np.ndarray):
    """Logits (B, T, V), loss, and the gradient of each parameter under our name and in our shape."""
    logits = model(torch.tensor(x)).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.tensor(y).flatten())
    loss.backward()
    gradients = {}
    for name, parameter in model.named_parameters():
        is_conv1d = name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
        gradients[name] = (parameter.grad.T if is_conv1d else parameter.grad).numpy()
    return logits.detach().numpy(), loss.item(), gradients


def our_step(model: GPT, x: np.ndarray, y: np.ndarray):
    logits, loss = model(tensor.from_numpy(x), tensor.from_numpy(y))
    loss.backward()
    return logits.detach().numpy(), loss.item(), {name: p.grad.numpy() for name, p in model.named_parameters()}


def assert_same_step(ours, theirs, atol_logits: float, rtol: float) -> None:
    """Logits, loss, and each gradient, measured by its own largest element."""
    (logits, loss, gradients), (their_logits, their_loss, their_gradients) = ours, theirs
    np.testing.assert_allclose(logits, their_logits, rtol=0, atol=atol_logits)
    np.testing.assert_allclose(loss, their_loss, rtol=rtol)
    assert gradients.keys() == their_gradients.keys()
    for name, theirs in their_gradients.items():
        np.testing.assert_allclose(gradients[name], theirs, rtol=0, atol=rtol * np.abs(theirs).max(), err_msg=name)


def rewrite(folder: Path, change) -> None:
    """Let `change` edit the arrays of the folder's model.safetensors."""
    arrays = load_file(folder / "model.safetensors")
    change(arrays)
    save_file(arrays, folder / "model.safetensors", metadata={"format": "pt"})


def like_the_hub(arrays: dict[str, torch.Tensor]) -> None:
    """No prefix, and each block's mask as buffers: so are the files of openai-community/gpt2."""
    for name in list(arrays):
        arrays[name.removeprefix("transformer.")] = arrays.pop(name)
    for n in range(TINY["n_layer"]):
        arrays[f"h.{n}.attn.bias"] = torch.tril(torch.ones(1, 1, 8, 8, dtype=torch.uint8))
        arrays[f"h.{n}.attn.masked_bias"] = torch.tensor(-1e4)


def with_the_tied_head(arrays: dict[str, torch.Tensor]) -> None:
    arrays["lm_head.weight"] = arrays["transformer.wte.weight"].clone()


@pytest.fixture(scope="module")
def tiny() -> GPT2LMHeadModel:
    return their_model(**TINY)


@pytest.fixture
def folder(tiny, tmp_path) -> Path:
    """The tiny model as transformers saves it."""
    tiny.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def saved(model: GPT2LMHeadModel, folder: Path, change=None, **options) -> Path:
    model.save_pretrained(folder, **options)
    if change:
        rewrite(folder, change)
    return folder


# ---------------------------------------------------------------------- the same model


@pytest.mark.parametrize(
    "options, change",
    [({}, None), ({}, like_the_hub), ({"max_shard_size": "3KB"}, None), ({}, with_the_tied_head)],
    ids=["as transformers saves", "as on the hub", "in shards", "with a copy of the tied head"],
)
def test_same_logits_loss_and_gradients_in_every_layout(options, change, tiny, tmp_path):
    saved(tiny, tmp_path, change, **options)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 3) == bool(options)
    model = GPT.from_pretrained(tmp_path).to(dtype=tensor.float64)
    assert model.lm_head.weight is model.transformer.wte.weight
    x, y = tokens(11, (3, 8))
    theirs = their_model(**TINY).double()  # the same weights: both compute in float64 what was stored in float32
    assert_same_step(our_step(model, x, y), their_step(theirs, x, y), atol_logits=1e-12, rtol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(dtype, tiny, tmp_path):
    saved(tiny, tmp_path, lambda arrays: arrays.update({name: a.to(dtype) for name, a in arrays.items()}))
    ours = GPT.from_pretrained(tmp_path)
    for name, parameter in tiny.named_parameters():
        array = dict(ours.named_parameters())[name].detach().numpy()
        expected = parameter.detach().to(dtype).float().numpy()
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, expected.T if array.shape != expected.shape or ".c_" in name else expected)


@pytest.mark.parametrize("says_so", [True, False], ids=["config.json says so", "the file alone shows it"])
def test_an_untied_head_stays_untied(says_so, tmp_path):
    theirs = their_model(**TINY, tie_word_embeddings=False)
    saved(theirs, tmp_path)
    if not says_so:
        edit("config.json", tie_word_embeddings=True)(tmp_path)
    model = GPT.from_pretrained(tmp_path).to(dtype=tensor.float64)
    assert not model.config.tie_weights
    x, y = tokens(11, (3, 8))
    assert_same_step(our_step(model, x, y), their_step(theirs.double(), x, y), atol_logits=1e-12, rtol=1e-9)
    model.save_pretrained(tmp_path / "again")
    again = GPT2LMHeadModel.from_pretrained(tmp_path / "again")
    assert not torch.equal(again.lm_head.weight, again.transformer.wte.weight)
    np.testing.assert_allclose(their_step(again.double(), x, y)[0], our_step(model, x, y)[0], rtol=0, atol=1e-12)


def test_gpt2_of_124_million_parameters_in_and_out():
    """The bound of the logits, of which the largest is 2.4, is issue 4's. Gradients: 1e-4 of their largest element
    is some hundred roundings of float32, in sums over 768 to 50,257 products."""
    x, y = tokens(50257, (2, 16))
    with tempfile.TemporaryDirectory() as folder:  # 1 GB, which pytest's own folder would keep for a while
        theirs = their_model()
        theirs.save_pretrained(f"{folder}/theirs")
        ours = GPT.from_pretrained(f"{folder}/theirs")
        assert ours.get_num_params(non_embedding=False) == 124_439_808
        expected = their_step(theirs, x, y)
        assert_same_step(our_step(ours, x, y), expected, atol_logits=1e-4, rtol=1e-4)
        del theirs
        ours.save_pretrained(f"{folder}/ours")
        del ours
        again = GPT2LMHeadModel.from_pretrained(f"{folder}/ours")
        with torch.no_grad():
            np.testing.assert_array_equal(again(torch.tensor(x)).logits.numpy(), expected[0])
        config = again.config
        del again
    assert (config.bos_token_id, config.eos_token_id) == (50256, 50256)


CONFIGS = {
    "as GPT-2": GPTConfig(block_size=8, vocab_size=11, n_layer=2, n_head=3, n_embd=12, dropout=0.25),
    "no biases": GPTConfig(block_size=8, vocab_size=11, n_layer=2, n_head=3, n_embd=12, bias=False),
    "a head of its own": GPTConfig(block_size=8, vocab_size=11, n_layer=1, n_head=1, n_embd=12, tie_weights=False),
    "no blocks": GPTConfig(block_size=8, vocab_size=11, n_layer=0, n_head=1, n_embd=12),
}


@pytest.mark.parametrize("dtype", [tensor.float32, tensor.float64], ids=str)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_what_we_save_transformers_loads(config, dtype, tmp_path):
    tensor.manual_seed(0)
    model = GPT(config).to(dtype=dtype).eval()
    model.save_pretrained(tmp_path)
    theirs, report = GPT2LMHeadModel.from_pretrained(tmp_path, dtype="auto", output_loading_info=True)
    assert not any(report.values())
    assert theirs.dtype == {tensor.float32: torch.float32, tensor.float64: torch.float64}[dtype]
    assert (theirs.config.resid_pdrop, theirs.config.activation_function) == (config.dropout, "gelu_new")
    assert (theirs.config.n_inner, theirs.config.eos_token_id) == (None, None)
    x, y = tokens(11, (3, 8))
    logits, _ = model.to(dtype=tensor.float64)(tensor.from_numpy(x), tensor.from_numpy(y))
    with torch.no_grad():
        their_logits = theirs.double()(torch.tensor(x)).logits
    np.testing.assert_allclose(their_logits.numpy(), logits.detach().numpy(), rtol=0, atol=1e-12)
    again = GPT.from_pretrained(tmp_path, dropout=config.dropout)
    assert (again.config.tie_weights, again.config.dropout) == (config.tie_weights, config.dropout)
    again_logits, _ = again.eval().to(dtype=tensor.float64)(tensor.from_numpy(x), tensor.from_numpy(y))
    np.testing.assert_allclose(again_logits.detach().numpy(), logits.detach().numpy(), rtol=0, atol=1e-6)


# ---------------------------------------------------------------------- sizes


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_parameter_shapes_are_the_models(config):
    shapes = parameter_shapes(vars(config))
    assert list(shapes.items()) == [(name, p.shape) for name, p in GPT(config).named_parameters()]


@pytest.mark.parametrize("name", SIZES)
def test_shapes_of_openais_models_without_allocating_them(name):
    n_layer, n_head, n_embd, parameters = SIZES[name]
    with torch.device("meta"):  # shapes alone
        theirs = GPT2LMHeadModel(GPT2Config(n_layer=n_layer, n_head=n_head, n_embd=n_embd))
    settings = {"block_size": 1024, "vocab_size": 50257, "n_layer": n_layer, "n_head": n_head, "n_embd": n_embd}
    ours = parameter_shapes(settings)
    assert sum(map(math.prod, ours.values())) == parameters
    assert {name: math.prod(shape) for name, shape in ours.items()} == {
        name: parameter.numel() for name, parameter in theirs.named_parameters()
    }


def test_loading_holds_one_copy_and_draws_nothing(tmp_path):
    big = TINY | {"vocab_size": 5000, "n_embd": 96}
    saved(their_model(**big), tmp_path)
    tensor.manual_seed(0)
    first = tensor.rand(1).item()
    tensor.manual_seed(0)
    tracemalloc.start()
    model = GPT.from_pretrained(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = 4 * model.get_num_params(non_embedding=False)
    # The head is allocated, though never touched, before it is tied: one more wte, 70% of this model.
    assert size < peak < 1.8 * size
    assert tensor.rand(1).item() == first


def test_skip_init_skips_only_inside():
    with nn.init.skip_init():
        assert not nn.Linear(3, 3).weight.detach().numpy().any()
        assert nn.init.ones_(tensor.zeros(2)).tolist() == [0, 0]
    assert nn.Linear(3, 3).weight.detach().numpy().all()


def test_dropout_is_the_only_choice(folder):
    assert GPT.from_pretrained(folder).config.dropout == 0.0
    assert GPT.from_pretrained(folder, dropout=0.1).config.dropout == 0.1
    with pytest.raises(TypeError, match="n_layer"):
        GPT.from_pretrained(folder, n_layer=1)


@pytest.mark.parametrize("name, found", [("merges.txt", True), ("vocab.bpe", True), ("vocab.json", False)])
def test_the_vocabulary_beside_a_model(name, found, folder):
    (folder / name).write_text("#version: 0.2")
    assert find_vocabulary(folder) == (folder / name if found else None)


# ---------------------------------------------------------------------- what does not fit


def edit(name: str, **changes):
    """A damage: other values in a JSON file; None removes one."""

    def change(folder: Path) -> None:
        values = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps({key: value for key, value in values.items() if value is not None}))

    return change


def write(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content)


def cut(name: str, size: int):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def remove(name: str):
    return lambda folder: (folder / name).unlink()


def arrays(change):
    return lambda folder: rewrite(folder, change)


def shards(damage):
    """The folder in shards, then a damage."""

    def change(folder: Path) -> None:
        model = GPT2LMHeadModel.from_pretrained(folder)
        shutil.rmtree(folder)
        model.save_pretrained(folder, max_shard_size="3KB")
        damage(folder)

    return change


FIRST_SHARD = "model-00001-of-00007.safetensors"
INDEX = "model.safetensors.index.json"


@pytest.mark.parametrize(
    "damage, sentence",
    [
        # folders
        (shutil.rmtree, "There is no GPT-2 named .*tiny: choose gpt2, gpt2-medium, gpt2-large, gpt2-xl or a local"),
        (remove("config.json"), r"tiny holds no GPT-2: it has neither config.json \(Hugging Face's layout\) nor hpar"),
        (remove("model.safetensors"), "has a config.json but no weights: neither model.safetensors nor .*index.json."),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
            "no weights: .* .pytorch_model.bin is a pickle, which can run code and is not read.",
        ),
        # config.json
        (write("config.json", b"{"), "config.json is not JSON: Expecting"),
        (write("config.json", b"\xff{}"), "config.json is not JSON: .*utf-8"),
        (write("config.json", b"[]"), "config.json should hold a JSON object, got list."),
        (edit("config.json", model_type="llama"), "describes a model of type 'llama'; this program reads 'gpt2'."),
        (edit("config.json", model_type=None), "describes a model of type None"),
        (edit("config.json", n_layer=None), "should give n_layer as a whole number above 0, got None."),
        (edit("config.json", n_embd="12"), "should give n_embd as a whole number above 0, got '12'."),
        (edit("config.json", n_positions=0), "should give n_positions as a whole number above 0, got 0."),
        (edit("config.json", n_head=5), r"n_embd \(12\) must be a multiple of n_head \(5\)."),
        (
            edit("config.json", activation_function="relu", n_inner=24),
            "activation_function is 'relu' .it reads 'gelu_new' or 'gelu_pytorch_tanh'.; n_inner is 24 .it reads None",
        ),
        (edit("config.json", layer_norm_epsilon=1e-6), "layer_norm_epsilon is 1e-06 .it reads 1e-05."),
        (edit("config.json", scale_attn_weights=False), "scale_attn_weights is False .it reads True."),
        (edit("config.json", scale_attn_by_inverse_layer_idx=True), "scale_attn_by_inverse_layer_idx is True"),
        (edit("config.json", reorder_and_upcast_attn=True), "reorder_and_upcast_attn is True .it reads False."),
        (edit("config.json", add_cross_attention=True), "add_cross_attention is True"),
        # model.safetensors
        (cut("model.safetensors", 0), "model.safetensors is damaged, or not a safetensors file"),
        (cut("model.safetensors", 5), "model.safetensors is damaged, or not a safetensors file"),
        (cut("model.safetensors", 500), "model.safetensors is damaged, or not a safetensors file"),
        (cut("model.safetensors", -1), "model.safetensors is damaged, or not a safetensors file"),
        (write("model.safetensors", b"<!DOCTYPE html> not found"), "is damaged, or not a safetensors file"),
        (
            arrays(lambda a: a.update({"transformer.ln_f.bias": torch.ones(12, dtype=torch.int8)})),
            "transformer.ln_f.bias is of type I8; this program reads F64, F32, F16, BF16.",
        ),
        # shards
        (shards(remove(FIRST_SHARD)), f"tiny lacks {FIRST_SHARD}."),
        (shards(cut(FIRST_SHARD, -1)), f"{FIRST_SHARD} is damaged, or not a safetensors file"),
        (shards(write(INDEX, b"{")), "index.json is not JSON"),
        (shards(edit(INDEX, weight_map=None)), "index.json has no weight_map that names a file for each array."),
        (shards(edit(INDEX, weight_map={"wte": 1})), "index.json has no weight_map that names a file for each array."),
        # arrays
        (edit("config.json", tie_word_embeddings=False), r"\n  lm_head.weight is missing, expected \(11, 12\)"),
        (arrays(lambda a: a.pop("transformer.wte.weight")), r"\n  transformer.wte.weight is missing, expected"),
        (arrays(lambda a: a.clear()), r"\n  wte.weight is missing, expected \(11, 12\)"),
    ],
)
def test_what_cannot_be_read_says_so(damage, sentence, folder):
    damage(folder)
    with pytest.raises(InputError, match=sentence):
        GPT.from_pretrained(folder)


@pytest.mark.parametrize("prefix", ["transformer.", ""])
def test_every_array_that_does_not_fit_is_listed_by_the_files_names(prefix, folder):
    def change(arrays):
        del arrays["transformer.h.1.ln_2.bias"], arrays["transformer.wpe.weight"]
        arrays["transformer.h.0.mlp.c_fc.weight"] = torch.ones(48, 12)
        arrays["transformer.h.0.attn.rotary"] = torch.ones(3)
        if not prefix:
            like_the_hub(arrays)

    rewrite(folder, change)
    with pytest.raises(InputError) as caught:
        GPT.from_pretrained(folder)
    assert str(caught.value).splitlines() == [
        f"The weights in {folder} are not those of the GPT-2 that its settings describe:",
        f"  {prefix}wpe.weight is missing, expected (8, 12)",
        f"  {prefix}h.1.ln_2.bias is missing, expected (12,)",
        f"  {prefix}h.0.attn.rotary (3,) is not part of the model",
        f"  {prefix}h.0.mlp.c_fc.weight has shape (48, 12), expected (12, 48)",
    ]


def test_a_name_nearly_right_is_suggested():
    with pytest.raises(InputError, match=r"no GPT-2 named gpt2-lrage \(did you mean gpt2-large\?\)"):
        GPT.from_pretrained("gpt2-lrage")


# ---------------------------------------------------------------------- the hub


class Hub(ThreadingHTTPServer):
    """What huggingface_hub needs of a hub, with one repository: openai-community/gpt2 is the folder `files`."""

    def __init__(self, files: Path | None, refusal: str):
        self.files, self.fetched, self.refusal = files, set(), refusal
        super().__init__(("127.0.0.1", 0), HubRequest)


class HubRequest(BaseHTTPRequestHandler):
    SHA = "0" * 40

    def do_GET(self):
        files, repository = self.server.files, "/openai-community/gpt2"
        name = self.path.rpartition("/")[2]
        if files and self.path.startswith(f"/api/models{repository}/revision/"):
            siblings = [{"rfilename": path.name} for path in sorted(files.iterdir())]
            listing = {"id": repository[1:], "modelId": repository[1:], "sha": self.SHA, "siblings": siblings}
            self.answer(200, json.dumps(listing).encode(), "application/json")
        elif files and self.path.startswith(f"/api/models{repository}/tree/"):
            contents = {path.name: path.read_bytes() for path in sorted(files.iterdir())}
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": sha1(content).hexdigest()}
                for name, content in contents.items()
            ]
            self.answer(200, json.dumps(tree).encode(), "application/json")
        elif files and self.path.startswith(f"{repository}/resolve/") and (files / name).is_file():
            self.server.fetched.add(name)
            self.answer(200, (files / name).read_bytes(), "application/octet-stream")
        else:
            self.answer(404, b"", "text/plain")

    do_HEAD = do_GET

    def answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{sha1(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", self.SHA)
        if status == 404:
            self.send_header("X-Error-Code", self.server.refusal)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *arguments):
        """Print nothing."""


@pytest.fixture
def hub(tmp_path):
    """Start a hub of `files`; returns it, and a function that asks it for gpt2 in a process with an empty cache."""
    servers = []

    def start(files: Path | None, refusal: str = "RepoNotFound"):
        server = Hub(files, refusal)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def ask(timeout: float = 30.0) -> str:
            program = f"""
                from tinygrad_gpt import GPT, pretrained
                pretrained.HUB_TIMEOUT = {timeout}
                try:
                    print(GPT.from_pretrained("gpt2").config, pretrained.find_vocabulary("gpt2"))
                except ValueError as error:
                    print(error)
            """
            variables = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path / "cache")}
            variables |= {"PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
            lines = "\n".join(line[16:] for line in program.splitlines())
            command = [sys.executable, "-c", lines]
            environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")} | variables
            return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

        return server, ask

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("options", [{}, {"max_shard_size": "3KB"}], ids=["one file", "shards"])
def test_the_hub_is_asked_once_and_for_nothing_else(options, hub, tiny, tmp_path):
    files = saved(tiny, tmp_path / "files", **options)
    for name in ("merges.txt", "vocab.json", "pytorch_model.bin", "tokenizer.json", "README.md"):
        (files / name).write_text(name)
    server, ask = hub(files)
    printed = ask()
    assert "GPTConfig(block_size=8, vocab_size=11, n_layer=2, n_head=3, n_embd=12" in printed
    assert printed.rstrip().endswith("merges.txt")
    weights = {path.name for path in files.iterdir() if path.name.startswith("model")}
    assert server.fetched == weights | {"config.json", "merges.txt", "vocab.json"}
    server.fetched.clear()
    server.files = None  # gone, but it is in the cache
    assert ask() == printed
    assert not server.fetched


@pytest.mark.parametrize("refusal", ["RepoNotFound", "GatedRepo"])
def test_a_hub_that_does_not_show_the_repository(refusal, hub):
    _, ask = hub(None, refusal)
    assert "does not show the repository openai-community/gpt2: check HF_ENDPOINT and HF_TOKEN" in ask()


def test_no_network(hub):
    server, ask = hub(None)
    server.shutdown()
    server.server_close()
    printed = ask()
    assert printed.startswith("gpt2 is not on this machine and could not be fetched from the Hugging Face hub (openai-")
    assert "Connect to the internet once, or pass the folder of a gpt2 that is on this machine." in printed


def test_a_network_that_does_not_answer(hub):
    server, ask = hub(None)
    server.shutdown()  # connections are still taken, by the operating system
    assert "gpt2): no answer within 1 seconds. Connect to the internet once" in ask(timeout=1.0)


def test_without_huggingface_hub(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match="which is not installed: pip install huggingface_hub, or pass the folder"):
        GPT.from_pretrained("gpt2")
    assert pretrained.find_vocabulary("gpt2") is None
