"""tinygrad-gpt: train and finetune a GPT on an autograd engine that one person can read.

>>> from tinygrad_gpt import GPT, GPTConfig
>>> model = GPT(GPTConfig(block_size=64, vocab_size=65, n_layer=4, n_head=4, n_embd=128, bias=False))
"""

from tinygrad_gpt.model import GPT, GPTConfig

__version__ = "0.1.0"

__all__ = ["GPT", "GPTConfig", "__version__"]
