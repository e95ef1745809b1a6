"""nn: Modules, layers, optimizers and schedules on top of `tensor`, in PyTorch's spelling."""

import sys

import tensor
from nn import functional as functional
from nn import init as init
from nn import optim as optim
from nn import schedule as schedule
from nn import utils as utils
from nn.containers import Identity, ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from nn.layers import *
from nn.module import Module
from nn.parameter import Parameter
from nn.wrappers import *

# Scripts written for PyTorch say torch.nn.functional and torch.optim.AdamW. With `import tensor as torch` and
# `import nn` they may go on doing so: this room hangs its sign into the one below, which does not import it.
vars(tensor).update(nn=sys.modules[__name__], optim=optim)
