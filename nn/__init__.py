"""nn: Modules, layers, optimizers and schedules on top of `tensor`, in PyTorch's spelling."""

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
