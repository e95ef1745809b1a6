"""tinygrad-gpt: train and finetune a GPT on an autograd engine that one person can read.

>>> from tinygrad_gpt import GPT, GPTConfig
>>> model = GPT(GPTConfig(block_size=64, vocab_size=65, n_layer=4, n_head=4, n_embd=128, bias=False))
"""

import os

from tinygrad_gpt.launch import share_cores

share_cores(os.environ)  # of several processes that mpiexec has started; before NumPy is loaded

from tinygrad_gpt.model import GPT, GPTConfig  # noqa: E402

__version__ = "0.1.0"

__all__ = ["GPT", "GPTConfig", "__version__"]
