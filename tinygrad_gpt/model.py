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
from dataclasses import dataclass, replace

import nn
import tensor
from nn import functional as F
from tensor import Tensor


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

    def __post_init__(self):
        for name in ("block_size", "vocab_size", "n_layer", "n_head", "n_embd"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.n_embd % self.n_head != 0:
            raise ValueError(
                f"n_embd ({self.n_embd}) must be a multiple of n_head ({self.n_head}): "
                "each head works on n_embd / n_head channels"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")


class CausalSelfAttention(nn.Module):
    """Each position looks at itself and the positions before it, once for each head."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.n_head = config.n_head
        self.dropout = config.dropout
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)  # q, k and v at once
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.resid_dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        q, k, v = self.c_attn(x).split(C, dim=2)  # 3 x (B, T, C)
        q = q.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)  # (B, nh, T, hs)
        k = k.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)  # (B, nh, T, hs)
        v = v.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)  # (B, nh, T, hs)
        # softmax(q kᵀ / √hs) v, where a position may not look ahead
        y = F.scaled_dot_product_attention(
            q, k, v, dropout_p=self.dropout if self.training else 0.0, is_causal=True
        )  # (B, nh, T, hs)
        y = y.transpose(1, 2).reshape(B, T, C)  # the heads side by side
        return self.resid_dropout(self.c_proj(y))  # (B, T, C)


class MLP(nn.Module):
    """Each position by itself: four times as wide, GELU, and back."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd, bias=config.bias)
        self.gelu = nn.GELU(approximate="tanh")  # the form GPT-2 was trained with
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.gelu(self.c_fc(x))  # (B, T, 4C)
        return self.dropout(self.c_proj(x))  # (B, T, C)


class Block(nn.Module):
    """Attention, then MLP; each adds to the residual stream what it makes of the stream's norm."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, bias=config.bias)
        self.attn = CausalSelfAttention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd, bias=config.bias)
        self.mlp = MLP(config)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))  # (B, T, C)
        x = x + self.mlp(self.ln_2(x))  # (B, T, C)
        return x


class GPT(nn.Module):
    """The whole model: `logits, loss = GPT(config)(idx, targets)`."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(config.vocab_size, config.n_embd),
                "wpe": nn.Embedding(config.block_size, config.n_embd),
                "drop": nn.Dropout(config.dropout),
                "h": nn.ModuleList([Block(config) for _ in range(config.n_layer)]),
                "ln_f": nn.LayerNorm(config.n_embd, bias=config.bias),
            }
        )
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        # One matrix for reading a token and for scoring it (Press & Wolf 2016, arXiv:1608.05859).
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

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Score the next token at each position.

        idx: token ids (B, T), int64. targets: the true next tokens (B, T), int64; -1 marks a position
        that does not count. Returns logits (B, T, V) and the mean cross-entropy in nats; without targets,
        logits of the last position only, (B, 1, V), and None.
        """
        B, T = idx.shape
        self._check(idx)
        pos = tensor.arange(0, T, dtype=tensor.int64, device=idx.device)  # (T,)

        tok_emb = self.transformer.wte(idx)  # (B, T, C)
        pos_emb = self.transformer.wpe(pos)  # (T, C), the same for every sequence
        x = self.transformer.drop(tok_emb + pos_emb)  # (B, T, C)
        for block in self.transformer.h:
            x = block(x)  # (B, T, C)
        x = self.transformer.ln_f(x)  # (B, T, C)

        if targets is None:
            return self.lm_head(x[:, -1:, :]), None  # (B, 1, V): generating needs no other position
        logits = self.lm_head(x)  # (B, T, V)
        loss = F.cross_entropy(logits.view(B * T, -1), targets.reshape(B * T), ignore_index=-1)  # ()
        return logits, loss

    def _check(self, idx: Tensor) -> None:
        length, ids = idx.shape[1], idx.array
        if length > self.config.block_size:
            raise ValueError(f"a sequence of {length} tokens is longer than the block_size, {self.config.block_size}")
        if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < self.config.vocab_size:
            raise ValueError(
                f"token ids go from {int(ids.min())} to {int(ids.max())}, "
                f"but the model's vocab_size is {self.config.vocab_size}"
            )

    @tensor.no_grad()
    def generate(
        self,
        idx: Tensor,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> Tensor:
        """Continue each sequence of idx (B, T) by drawn tokens; returns (B, T + max_new_tokens).

        temperature: below 1 the likely tokens get likelier, above 1 less so; 0 always takes the likeliest.
        top_k: draw from the k likeliest tokens only. top_p: draw only from the fewest likeliest tokens
        whose probabilities reach top_p together (nucleus sampling, Holtzman et al. 2019, arXiv:1904.09751).
        Dropout is what the mode says: call `eval()` first.
        """
        if temperature < 0:
            raise ValueError(f"temperature must be 0 or more, got {temperature}")
        for _ in range(max_new_tokens):
            context = idx[:, -self.config.block_size :]  # (B, T) the model sees no further back
            logits, _ = self(context)  # (B, 1, V)
            logits = logits[:, -1, :]  # (B, V)
            if temperature == 0:
                token = logits.argmax(dim=-1, keepdim=True)  # (B, 1)
            else:
                logits = keep_likeliest(logits / temperature, top_k, top_p)  # (B, V)
                token = tensor.multinomial(F.softmax(logits, dim=-1), num_samples=1)  # (B, 1)
            idx = tensor.cat((idx, token), dim=1)  # (B, T + 1)
        return idx

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
        """The number of parameters, without the position embedding; wte counts, for it is the head too."""
        count = sum(p.numel() for p in self.parameters())
        return count - self.transformer.wpe.weight.numel() if non_embedding else count

    def crop_block_size(self, block_size: int) -> None:
        """Make the model's longest sequence shorter by cutting the position embedding, in place."""
        if not 1 <= block_size <= self.config.block_size:
            raise ValueError(f"block_size can be cropped to 1 … {self.config.block_size}, got {block_size}")
        self.config = replace(self.config, block_size=block_size)
        wpe = self.transformer.wpe
        wpe.weight = nn.Parameter(wpe.weight.detach()[:block_size].clone())
        wpe.num_embeddings = block_size


def keep_likeliest(logits: Tensor, top_k: int | None, top_p: float | None) -> Tensor:
    """Logits (B, V) with -inf wherever a token is outside of the top_k or of the top_p nucleus."""
    V = logits.shape[-1]
    if top_k is not None:
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        least = tensor.topk(logits, min(top_k, V)).values[:, -1:]  # (B, 1) the k-th largest
        logits = logits.masked_fill(logits < least, -math.inf)
    if top_p is not None:
        if not 0.0 < top_p <= 1.0:
            raise ValueError(f"top_p must be in (0, 1], got {top_p}")
        ordered, order = tensor.sort(logits, dim=-1, descending=True)  # (B, V), (B, V)
        p = F.softmax(ordered, dim=-1)
        # The probability of everything likelier: 0 for the likeliest token, so that it always stays.
        before = p.cumsum(dim=-1) - p  # (B, V)
        outside = tensor.zeros_like(order, dtype=tensor.bool)
        outside = outside.scatter(1, order, before >= top_p)  # (B, V) back in the order of the tokens
        logits = logits.masked_fill(outside, -math.inf)
    return logits
