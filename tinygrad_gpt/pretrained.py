"""GPT-2's weights in and out: Hugging Face's layout, from its hub or a folder, and OpenAI's TensorFlow files.

A folder in Hugging Face's layout holds

    config.json              the sizes of the model
    model.safetensors        its weights; or several files, named in model.safetensors.index.json
    merges.txt, vocab.json   GPT-2's vocabulary, where it came along

The parameters have nanoGPT's names, with or without `transformer.` in front. A matrix is stored [in, out], for x W;
ours is (out, in), for x Wᵀ, as in PyTorch's Linear.

Nothing here knows the model itself: settings are a dict of `GPTConfig`'s fields, weights are arrays by parameter name.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from tinygrad_gpt.errors import InputError
from tinygrad_gpt.network import call_within
from tinygrad_gpt.options import nearest
from tinygrad_gpt.paths import atomic_write
from tinygrad_gpt.tf_checkpoint import read_bundle

HUB = {name: f"openai-community/{name}" for name in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")}
HUB_TIMEOUT = 30.0  # seconds for the hub to answer; the weights themselves may take as long as they need

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
OPENAI_CONFIG = "hparams.json"
VOCABULARIES = ("merges.txt", "vocab.bpe")  # the same file under Hugging Face's name and under OpenAI's
FETCHED = [CONFIG, WEIGHTS, INDEX, "model-*.safetensors", "merges.txt", "vocab.json"]

HEAD = "lm_head.weight"
END_OF_TEXT_ID = 50256  # in GPT-2's vocabulary, where it both begins and ends a text
# safetensors' names of types. NumPy has no bfloat16: its 16 bits, which are the upper half of a float32, stand for it.
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}

# Our setting -> its name in config.json, its name in hparams.json.
SIZES = {
    "block_size": ("n_positions", "n_ctx"),
    "vocab_size": ("vocab_size", "n_vocab"),
    "n_layer": ("n_layer", "n_layer"),
    "n_head": ("n_head", "n_head"),
    "n_embd": ("n_embd", "n_embd"),
}
# What else config.json can ask for, and the answers that `GPT` computes; the first is what it means by leaving it out.
SUPPORTED = {
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "layer_norm_epsilon": (1e-5,),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "reorder_and_upcast_attn": (False,),
    "add_cross_attention": (False,),
}

Shape = tuple[int, ...]
Reader = Callable[[], np.ndarray]  # maps one array from its file


class Weights(Mapping[str, np.ndarray]):
    """Parameter name -> float32 array, mapped from its file when it is asked for and let go with its last reference.

    Whoever takes one after the other never holds the whole model a second time.
    """

    def __init__(self, readers: Mapping[str, Reader]):
        self._readers = readers

    def __getitem__(self, name: str) -> np.ndarray:
        return self._readers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)


def parameter_shapes(settings: Mapping[str, Any]) -> dict[str, Shape]:
    """The shape of every parameter of the GPT with these settings, in the model's order; nothing is allocated."""
    V, T, C = settings["vocab_size"], settings["block_size"], settings["n_embd"]
    layers: dict[str, Shape] = {"wte": (V, C), "wpe": (T, C)}
    for n in range(settings["n_layer"]):
        layers |= {
            f"h.{n}.ln_1": (C,),
            f"h.{n}.attn.c_attn": (3 * C, C),
            f"h.{n}.attn.c_proj": (C, C),
            f"h.{n}.ln_2": (C,),
            f"h.{n}.mlp.c_fc": (4 * C, C),
            f"h.{n}.mlp.c_proj": (C, 4 * C),
        }
    layers["ln_f"] = (C,)
    shapes: dict[str, Shape] = {}
    for layer, shape in layers.items():
        shapes[f"transformer.{layer}.weight"] = shape
        if settings.get("bias", True) and layer not in ("wte", "wpe"):
            shapes[f"transformer.{layer}.bias"] = shape[:1]
    if not settings.get("tie_weights", True):
        shapes[HEAD] = (V, C)
    return shapes


# ---------------------------------------------------------------------- reading


def read_gpt2(source: str | Path) -> tuple[dict[str, Any], Weights]:
    """The settings for `GPTConfig`, and the weights for the model that it makes.

    source: the name of one of OpenAI's four models, or a folder in Hugging Face's layout or OpenAI's own.
    Raises `InputError` where it is none of these, is damaged, or describes a model that `GPT` cannot be.
    """
    folder = _hub_folder(str(source)) if source in HUB else Path(source)
    if (folder / CONFIG).is_file():
        return _read_hugging_face(folder)
    if (folder / OPENAI_CONFIG).is_file():
        return _read_openai(folder)
    if folder.is_dir():
        raise InputError(
            f"{folder} holds no GPT-2: it has neither {CONFIG} (Hugging Face's layout) nor {OPENAI_CONFIG} (OpenAI's)."
        )
    raise InputError(
        f"There is no GPT-2 named {source}{nearest(str(source), list(HUB))}: choose {', '.join(HUB)} or a local folder."
    )


def find_vocabulary(source: str | Path) -> Path | None:
    """GPT-2's merges.txt or vocab.bpe beside the weights of `source`, if it is on this machine."""
    folder = _cached_folder(str(source)) if source in HUB else Path(source)
    paths = [folder / name for name in VOCABULARIES] if folder else []
    return next((path for path in paths if path.is_file()), None)


def _read_hugging_face(folder: Path) -> tuple[dict[str, Any], Weights]:
    config = _read_json(folder / CONFIG)
    settings = _settings(config, folder / CONFIG)
    stored = {name: read for path in _weight_files(folder) for name, read in _read_safetensors(path).items()}
    prefix = "transformer." if any(name.startswith("transformer.") for name in stored) else ""
    # Old files hold each block's causal mask, which is no parameter.
    masks = re.compile(re.escape(prefix) + r"h\.\d+\.attn\.(bias|masked_bias)")
    stored = {name: read for name, read in stored.items() if not masks.fullmatch(name)}
    tied = config.get("tie_word_embeddings", True)
    if tied and HEAD in stored:  # the same matrix once more, or, whatever config.json says, a head of its own
        wte = stored.get(f"{prefix}wte.weight")
        tied = wte is not None and np.array_equal(stored[HEAD](), wte())
        if tied:
            del stored[HEAD]
    settings["tie_weights"] = tied
    names = {name: name if prefix else name.removeprefix("transformer.") for name in parameter_shapes(settings)}
    return settings, _fitting(settings, stored, names, folder, matrix=lambda shape: shape[::-1])


def _read_openai(folder: Path) -> tuple[dict[str, Any], Weights]:
    hparams = _read_json(folder / OPENAI_CONFIG)
    settings = _sizes(hparams, folder / OPENAI_CONFIG) | {"bias": True, "tie_weights": True}
    indexes = [*folder.glob("*.index"), *folder.glob("checkpoint/*.index")]
    if len(indexes) != 1:
        found = ", ".join(sorted(path.name for path in indexes)) or "none"
        raise InputError(f"{folder} should hold one TensorFlow checkpoint (model.ckpt.index, …): found {found}.")
    stored = read_bundle(indexes[0].with_suffix(""))
    names = {name: _tensorflow_name(name) for name in parameter_shapes(settings)}
    return settings, _fitting(settings, stored, names, folder, matrix=lambda shape: (1, *shape[::-1]))


def _tensorflow_name(name: str) -> str:
    """OpenAI's name of a parameter: transformer.h.0.attn.c_attn.weight is model/h0/attn/c_attn/w."""
    layer, kind = name.removeprefix("transformer.").rsplit(".", 1)
    path = "model/" + re.sub(r"^h\.", "h", layer).replace(".", "/")
    if layer in ("wte", "wpe"):
        return path
    is_gain = kind == "weight" and "ln_" in layer
    return f"{path}/{'g' if is_gain else kind[0]}"


def _fitting(
    settings: Mapping[str, Any],
    stored: Mapping[str, Reader],
    names: Mapping[str, str],
    folder: Path,
    matrix: Callable[[Shape], Shape],
) -> Weights:
    """Our parameters out of the stored arrays, or one `InputError` that lists every array that does not fit.

    names: our name -> the file's name. matrix: the shape in which the file holds our Linear's matrix.
    """
    expected = {
        names[name]: matrix(shape) if _is_linear(name) else shape for name, shape in parameter_shapes(settings).items()
    }
    found = {name: read().shape for name, read in stored.items()}
    problems = [f"{name} is missing, expected {shape}" for name, shape in expected.items() if name not in found]
    problems += [f"{name} {shape} is not part of the model" for name, shape in found.items() if name not in expected]
    problems += [
        f"{name} has shape {found[name]}, expected {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise InputError(f"The weights in {folder} are not those of the GPT-2 that its settings describe:{lines}")
    return Weights({ours: partial(_converted, stored[theirs], _is_linear(ours)) for ours, theirs in names.items()})


def _is_linear(name: str) -> bool:
    """Is this the matrix of a Linear layer within a block? GPT-2 stores these the other way round."""
    return name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight"))


def _converted(read: Reader, is_linear: bool) -> np.ndarray:
    array = read()
    if array.dtype == np.uint16:  # bfloat16
        array = (array.astype(np.uint32) << 16).view(np.float32)
    array = array.astype(np.float32, copy=False)
    return array.reshape(array.shape[-2:]).T if is_linear else array


def _settings(config: dict[str, Any], path: Path) -> dict[str, Any]:
    """`GPTConfig`'s fields from a config.json. Raises `InputError` that names all that `GPT` does not compute."""
    if config.get("model_type") != "gpt2":
        raise InputError(f"{path} describes a model of type {config.get('model_type')!r}; this program reads 'gpt2'.")
    settings = _sizes(config, path)
    supported = SUPPORTED | {"n_inner": (None, 4 * settings["n_embd"])}
    problems = [
        f"{name} is {config[name]!r} (it reads {' or '.join(map(repr, values))})"
        for name, values in supported.items()
        if config.get(name, values[0]) not in values
    ]
    if problems:
        raise InputError(f"{path} describes a model that this program does not compute: {'; '.join(problems)}.")
    return settings | {"bias": True}


def _sizes(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """The fields of `GPTConfig` that config.json and hparams.json both have."""
    names = {ours: theirs[path.name == OPENAI_CONFIG] for ours, theirs in SIZES.items()}
    sizes: dict[str, Any] = {ours: values.get(theirs) for ours, theirs in names.items()}
    for ours, size in sizes.items():
        if type(size) is not int or size < (0 if ours == "n_layer" else 1):
            raise InputError(f"{path} should give {names[ours]} as a whole number above 0, got {size!r}.")
    if sizes["n_embd"] % sizes["n_head"]:
        raise InputError(f"{path}: n_embd ({sizes['n_embd']}) must be a multiple of n_head ({sizes['n_head']}).")
    return sizes


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}.") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} should hold a JSON object, got {type(values).__name__}.")
    return values


def _weight_files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        pickled = " (pytorch_model.bin is a pickle, which can run code and is not read)"
        hint = pickled if (folder / "pytorch_model.bin").exists() else ""
        raise InputError(f"{folder} has a {CONFIG} but no weights: neither {WEIGHTS} nor {INDEX}{hint}.")
    places = _read_json(folder / INDEX).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise InputError(f"{folder / INDEX} has no weight_map that names a file for each array.")
    return [folder / name for name in sorted(set(places.values()))]


def _read_safetensors(path: Path) -> dict[str, Reader]:
    """Its arrays. The format: the size of the header in 8 bytes, the header as JSON, then the arrays' bytes."""
    try:
        safe_open(path, framework="numpy")  # checks the header, and that the file is as long as it says
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
    except FileNotFoundError:
        raise InputError(f"{path.parent} lacks {path.name}.") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged, or not a safetensors file: {error}.") from None
    header.pop("__metadata__", None)
    return {name: partial(_map, path, name, entry, 8 + size) for name, entry in header.items()}


def _map(path: Path, name: str, entry: dict[str, Any], start: int) -> np.ndarray:
    if entry["dtype"] not in DTYPES:
        raise InputError(f"{path}: {name} is of type {entry['dtype']}; this program reads {', '.join(DTYPES)}.")
    offset, shape = start + entry["data_offsets"][0], tuple(entry["shape"])
    return np.memmap(path, dtype=DTYPES[entry["dtype"]], mode="r", offset=offset, shape=shape)


# ---------------------------------------------------------------------- the hub


def _hub_folder(name: str) -> Path:
    """The folder of the model in huggingface_hub's cache, fetched if it is not there yet."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.utils import RepositoryNotFoundError
    except ImportError:
        raise InputError(
            f"{name} is fetched through huggingface_hub, which is not installed: pip install huggingface_hub, or pass "
            f"the folder of a {name} that is on this machine."
        ) from None
    folder = _cached_folder(name)
    if folder is not None and _is_complete(folder):
        return folder
    repository = HUB[name]
    try:
        # The smallest file shows whether the hub answers at all. Without a network the wait could be minutes.
        call_within(HUB_TIMEOUT, lambda: snapshot_download(repository, allow_patterns=[CONFIG]))
        return Path(snapshot_download(repository, allow_patterns=FETCHED))
    except RepositoryNotFoundError:  # also where a token is wrong, or the repository asks for one
        raise InputError(
            f"The Hugging Face hub does not show the repository {repository}: check HF_ENDPOINT and HF_TOKEN, or pass "
            f"the folder of a {name} that is on this machine."
        ) from None
    except Exception as error:  # huggingface_hub's own, and those of the HTTP library that its version uses
        reason = str(error.__cause__ or error).partition("\n")[0].rstrip(".")
        raise InputError(
            f"{name} is not on this machine and could not be fetched from the Hugging Face hub ({repository}): "
            f"{reason}. Connect to the internet once, or pass the folder of a {name} that is on this machine."
        ) from error


def _cached_folder(name: str) -> Path | None:
    """Where huggingface_hub keeps the model, perhaps not all of it; asks no network."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        return None
    try:
        return Path(snapshot_download(HUB[name], allow_patterns=FETCHED, local_files_only=True))
    except OSError:  # LocalEntryNotFoundError is one
        return None


def _is_complete(folder: Path) -> bool:
    try:
        return all(path.is_file() for path in (folder / CONFIG, *_weight_files(folder)))
    except InputError:
        return False


# ---------------------------------------------------------------------- writing


def write_gpt2(folder: str | Path, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write config.json and model.safetensors into `folder`, as transformers' GPT2LMHeadModel reads them.

    settings: `GPTConfig`'s fields. arrays: every parameter by its name. GPT-2 always has biases: those of a model
    without are written as zeros.
    """
    folder = Path(folder)
    dtype = arrays["transformer.wte.weight"].dtype
    stored = {}
    for name, shape in parameter_shapes({**settings, "bias": True}).items():
        array = arrays[name] if name in arrays else np.zeros(shape, dtype)
        stored[name] = array.T if _is_linear(name) else array
    _write_safetensors(folder / WEIGHTS, stored)
    with atomic_write(folder / CONFIG) as file:
        file.write(json.dumps(_config(settings), indent=2).encode() + b"\n")


def _config(settings: Mapping[str, Any]) -> dict[str, Any]:
    """config.json in transformers' words."""
    end_of_text = END_OF_TEXT_ID if settings["vocab_size"] > END_OF_TEXT_ID else None
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        **{theirs: settings[ours] for ours, (theirs, _) in SIZES.items()},
        "n_inner": None,
        **{name: values[0] for name, values in SUPPORTED.items()},
        **dict.fromkeys(("embd_pdrop", "attn_pdrop", "resid_pdrop"), settings["dropout"]),
        "tie_word_embeddings": settings.get("tie_weights", True),
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
    }


def _write_safetensors(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays one after the other: only one at a time is copied, where it is transposed."""
    types = {np.dtype(code): name for name, code in DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # which transformers insists on
    end = 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": types[array.dtype], "shape": list(array.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the arrays begin at a multiple of 8
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).data)
