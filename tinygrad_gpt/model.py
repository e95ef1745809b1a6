"""GPT: a decoder-only Transformer, read from top to bottom.

The architecture is GPT-2's, the parameter names are nanoGPT's. Shapes in the comments:

    B   batch: sequences side by side
    T   time: positions in a sequence, at most block_size
    C   channels: n_embd
    V   vocabulary: vocab_size
    nh  heads, hs = C / nh channels each

References: Vaswani et al. 2017, "Attention Is All You Need"; Radford et al. 2019, "Language Models are
Unsupervised Multitask Learners" (GPT-2).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import nn
import tensor
from nn import functional as F
from tensor import Tensor
from tensor.late_checks import require_all
from tensor.recompute import checkpoint
from tinygrad_gpt.decoding import Decoding
from tinygrad_gpt.pretrained import read_gpt2, write_gpt2


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a GPT; the defaults are GPT-2's smallest model."""

    block_size: int = 1024  # longest sequence, in tokens
    vocab_size: int = 50257  # number of different tokens
    n_layer: int = 12  # blocks
    n_head: int = 12  # attention heads in each block
    n_embd: int = 768  # channels
    dropout: float = 0.0  # probability that an activation is dropped in training
    bias: bool = True  # biases in the linear and norm layers; GPT-2 has them, small models do well without
    tie_weights: bool = True  # one matrix for reading a token and for scoring it

    def __post_init__(self):
        # Without blocks it is a bigram model: a token's scores come from its own embedding alone.
        least = {"block_size": 1, "vocab_size": 1, "n_layer": 0, "n_head": 1, "n_embd": 1}
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise ValueError(f"{name} must be at least {minimum}, got {getattr(self, name)}")
        if self.n_embd % self.n_head != 0:
            raise ValueError(
                f"n_embd ({self.n_embd}) must be a multiple of n_head ({self.n_head}): "
                "each head works on n_embd / n_head channels"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")


class KVCache:
    """The keys and values of the positions that a model has read so far, so that it need not read them again.

    A position never looks ahead, so nothing about it changes when another is added after it. The memory, room for
    `size` positions in each block, is taken once, and filled from the left. It holds values without a graph.
    """

    def __init__(self, size: int):
        self.size = size
        self.length = 0  # positions read
        self.blocks: dict[int, tuple[Tensor, Tensor]] = {}  # of each block k and v, (B, nh, size, hs)

    def extend(self, block: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add the k and v of T new positions, (B, nh, T, hs); returns those of all S so far, (B, nh, S, hs)."""
        B, nh, T, hs = k.shape
        if block not in self.blocks:
            self.blocks[block] = k.new_empty(B, nh, self.size, hs), v.new_empty(B, nh, self.size, hs)
        keys, values = self.blocks[block]
        S = self.length + T
        keys.array[:, :, self.length : S] = k.array
        values.array[:, :, self.length : S] = v.array
        return keys[:, :, :S], values[:, :, :S]

    def repeat(self, times: int) -> None:
        """Make each sequence of the batch `times` sequences that go on separately."""
        for block, (k, v) in self.blocks.items():
            self.blocks[block] = k.repeat_interleave(times, dim=0), v.repeat_interleave(times, dim=0)


class CausalSelfAttention(nn.Module):
    """Each position looks at itself and the positions before it, once for each head."""

    def __init__(self, config: GPTConfig, block: int):
        super().__init__()
        self.block = block  # its number, counted from 0: its place in a KVCache
        self.n_head = config.n_head
        self.dropout = config.dropout
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)  # q, k and v at once
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.resid_dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, cache: KVCache | None = None) -> Tensor:
        B, T, C = x.shape
        heads = self.c_attn(x).view(B, T, 3 * self.n_head, C // self.n_head)  # those of q, then of k, then of v
        q, k, v = heads.transpose(1, 2).split(self.n_head, dim=1)  # 3 x (B, nh, T, hs)
        if cache is not None:
            k, v = cache.extend(self.block, k, v)  # (B, nh, S, hs)
        # softmax(q kᵀ / √hs) v, where a position may not look ahead; a single one, the last, has nothing ahead
        y = F.scaled_dot_product_attention(
            q, k, v, dropout_p=self.dropout if self.training else 0.0, is_causal=T > 1
        )  # (B, nh, T, hs)
        y = y.transpose(1, 2).reshape(B, T, C)  # the heads side by side
        return self.resid_dropout(self.c_proj(y))  # (B, T, C)


class MLP(nn.Module):
    """Each position by itself: four times as wide, GELU, and back."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.c_fc = nn.LinearGELU(config.n_embd, 4 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.c_fc(x)  # gelu(x Wᵀ + b), in GPT-2's form of GELU; (B, T, 4C)
        return self.dropout(self.c_proj(x))  # (B, T, C)


class Block(nn.Module):
    """Attention, then MLP; each adds to the residual stream what it makes of the stream's norm."""

    def __init__(self, config: GPTConfig, block: int):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, bias=config.bias)
        self.attn = CausalSelfAttention(config, block)
        self.ln_2 = nn.AddLayerNorm(config.n_embd, bias=config.bias)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, cache: KVCache | None = None) -> Tensor:
        branch = self.attn(self.ln_1(x), cache)  # (B, T, C)
        x, norm = self.ln_2(x, branch)  # x + branch and its LayerNorm, in one pass; 2 x (B, T, C)
        return x + self.mlp(norm)  # (B, T, C)


class GPT(nn.Module):
    """The whole model: `logits, loss = GPT(config)(idx, targets)`."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.gradient_checkpointing = False  # keep only each block's input, and compute the block again in backward
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(config.vocab_size, config.n_embd),
                "wpe": nn.Embedding(config.block_size, config.n_embd),
                "drop": nn.Dropout(config.dropout),
                "h": nn.ModuleList([Block(config, n) for n in range(config.n_layer)]),
                "ln_f": nn.LayerNorm(config.n_embd, bias=config.bias),
            }
        )
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        if config.tie_weights:  # Press & Wolf 2016, arXiv:1608.05859
            self.lm_head.weight = self.transformer.wte.weight
        self.apply(self._init_weights)
        # Every block adds twice to the residual stream. GPT-2 scales those layers down by the square root of
        # the number of additions, so that the variance of the sum does not grow with depth.
        for name, parameter in self.named_parameters():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(parameter, mean=0.0, std=0.02 / math.sqrt(2 * config.n_layer))

    def _init_weights(self, module: nn.Module) -> None:
        """GPT-2's initialisation; LayerNorm's ones and zeros are its own default."""
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(
        self, idx: Tensor, targets: Tensor | None = None, cache: KVCache | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Score the next token at each position.

        idx: token ids (B, T), int64. targets: the true next tokens (B, T), int64; -1 marks a position
        that does not count. Returns logits (B, T, V) and the mean cross-entropy in nats; without targets,
        logits of the last position only, (B, 1, V), and None.

        cache: what the model knows of the positions before idx, which it continues; idx is added to it. Into an
        empty one it may be a whole prompt, from then on one token at a time.
        """
        B, T = idx.shape
        if cache is not None and tensor.is_grad_enabled():
            raise RuntimeError("a KVCache keeps no graph to differentiate: use it under tensor.no_grad()")
        start = 0 if cache is None else cache.length
        self._check(idx, start)
        pos = tensor.arange(start, start + T, dtype=tensor.int64, device=idx.device)  # (T,)

        tok_emb = self.transformer.wte(idx)  # (B, T, C)
        pos_emb = self.transformer.wpe(pos)  # (T, C), the same for every sequence
        x = self.transformer.drop(tok_emb + pos_emb)  # (B, T, C)
        for block in self.transformer.h:
            x = checkpoint(block, x, cache) if self.gradient_checkpointing else block(x, cache)  # (B, T, C)
        if cache is not None:
            cache.length += T
        x = self.transformer.ln_f(x)  # (B, T, C)

        if targets is None:
            return self.lm_head(x[:, -1:, :]), None  # (B, 1, V): generating needs no other position
        logits = self.lm_head(x)  # (B, T, V)
        loss = F.cross_entropy(logits.view(B * T, -1), targets.reshape(B * T), ignore_index=-1)  # ()
        return logits, loss

    def _check(self, idx: Tensor, start: int) -> None:
        length, ids = start + idx.shape[1], idx.array
        if start > 0 and idx.shape[1] > 1:
            raise ValueError(f"a cache that holds {start} positions takes one more at a time, got {idx.shape[1]}")
        if length > self.config.block_size:
            raise ValueError(f"a sequence of {length} tokens is longer than the block_size, {self.config.block_size}")
        vocab_size = self.config.vocab_size

        def error() -> ValueError:
            return ValueError(
                f"token ids go from {ids.min()} to {ids.max()}, but the model's vocab_size is {vocab_size}"
            )

        require_all((ids >= 0) & (ids < vocab_size), error)

    def generate(
        self,
        idx: Tensor,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        repetition_penalty: float = 1.0,
        stop_tokens: Sequence[int] = (),
        num_samples: int = 1,
        use_cache: bool = True,
    ) -> Tensor:
        """Continue each sequence of idx (B, T) by chosen tokens; returns (B · num_samples, T + new tokens).

        temperature: below 1 the likely tokens get likelier, above 1 less so; 0 always takes the likeliest.
        top_k: draw from the k likeliest tokens only. top_p: draw only from the fewest likeliest tokens
        whose probabilities reach top_p together (nucleus sampling, Holtzman et al. 2019, arXiv:1904.09751).
        repetition_penalty: above 1 makes the tokens that a sequence already holds less likely.
        stop_tokens: a sequence ends with the first of these; the end is repeated while others go on.
        num_samples: continuations of each sequence, in successive rows.
        use_cache: keep the keys and values of what was read. Without it every token reads the whole text again. The
        tokens are the same (see `stream`).
        Dropout is what the mode says: call `eval()` first.
        """
        decoding = Decoding(temperature, top_k, top_p, repetition_penalty)
        tokens = list(self.stream(idx, max_new_tokens, decoding, stop_tokens, num_samples, use_cache))  # n x (B,)
        idx = idx.repeat_interleave(num_samples, dim=0)
        return tensor.cat((idx, tensor.stack(tokens, dim=1)), dim=1) if tokens else idx

    def stream(
        self,
        idx: Tensor,
        max_new_tokens: int,
        decoding: Decoding,
        stop_tokens: Sequence[int] = (),
        num_samples: int = 1,
        use_cache: bool = True,
    ) -> Iterator[Tensor]:
        """What `generate` appends, while it is chosen: for each new position the tokens (B · num_samples,).

        With a cache, a token costs one position instead of the whole text, until the text is longer than block_size.
        From there on the model sees the last block_size tokens, so with each new one all the others move to another
        position, and what was kept of them is about the old ones: each token reads the whole window, cache or not.

        The two ways do the same sums in another order, so their logits differ in the last bits. They choose the same
        tokens unless two candidates are as close as that, about one chance in a million for a token in float32.
        """
        if idx.shape[1] == 0 or num_samples < 1:
            raise ValueError(f"there is nothing to continue: idx {tuple(idx.shape)}, num_samples={num_samples}")
        block_size = self.config.block_size
        cache = KVCache(min(block_size, idx.shape[1] + max_new_tokens)) if use_cache else None
        ended = None  # (B,) which sequences have their stop token
        for step in range(max_new_tokens):
            with tensor.no_grad():
                if cache is None or idx.shape[1] > block_size:
                    logits, _ = self(idx[:, -block_size:])  # (B, 1, V)
                else:
                    logits, _ = self(idx[:, cache.length :], cache=cache)  # (B, 1, V)
                logits = logits[:, -1, :]  # (B, V)
                if step == 0 and num_samples > 1:  # the prompt is read once for all of its samples
                    idx, logits = (x.repeat_interleave(num_samples, dim=0) for x in (idx, logits))
                    if cache is not None:
                        cache.repeat(num_samples)
                token = decoding.choose(logits, idx)  # (B,)
                if ended is not None:
                    token = tensor.where(ended, idx[:, -1], token)
                idx = tensor.cat((idx, token[:, None]), dim=1)  # (B, T + 1)
            yield token
            ended = tensor.isin(token, tensor.tensor(list(stop_tokens), dtype=tensor.int64, device=idx.device))
            if ended.all():
                return

    def configure_optimizers(
        self, weight_decay: float, learning_rate: float, betas: tuple[float, float]
    ) -> nn.optim.AdamW:
        """AdamW that decays the matrices only.

        Weight decay is for what multiplies activations: matrices and embeddings, of rank 2. A bias or a
        norm's gain shifts or scales one channel; pulling it to zero would only fight the normalisation.
        """
        parameters = [p for p in self.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": weight_decay},
            {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
        ]
        return nn.optim.AdamW(groups, lr=learning_rate, betas=betas)

    def get_num_params(self, non_embedding: bool = True) -> int:
        """The number of parameters, by default without the embeddings; a tied wte counts, for it is the head too."""
        count = sum(p.numel() for p in self.parameters())
        if non_embedding:
            count -= self.transformer.wpe.weight.numel()
            count -= 0 if self.config.tie_weights else self.transformer.wte.weight.numel()
        return count

    @classmethod
    def from_pretrained(cls, source: str | Path, *, dropout: float = 0.0) -> "GPT":
        """The GPT-2 named "gpt2", "gpt2-medium", "gpt2-large" or "gpt2-xl", or the one in a folder; see `read_gpt2`.

        Sizes and weights are the file's; only dropout is free to choose.
        """
        settings, weights = read_gpt2(source)
        config = GPTConfig(**settings, dropout=dropout)
        with nn.init.skip_init(), tensor.no_grad():
            model = cls(config)
            for name, parameter in model.named_parameters():
                parameter.copy_(tensor.from_numpy(weights[name]))
        return model

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model in the Hugging Face layout, for transformers' GPT2LMHeadModel and for `from_pretrained`."""
        write_gpt2(folder, asdict(self.config), {n: p.detach().cpu().numpy() for n, p in self.named_parameters()})

    def crop_block_size(self, block_size: int) -> None:
        """Make the model's longest sequence shorter by cutting the position embedding, in place."""
        if not 1 <= block_size <= self.config.block_size:
            raise ValueError(f"block_size can be cropped to 1 … {self.config.block_size}, got {block_size}")
        self.config = replace(self.config, block_size=block_size)
        wpe = self.transformer.wpe
        wpe.weight = nn.Parameter(wpe.weight.detach()[:block_size].clone())
        wpe.num_embeddings = block_size
