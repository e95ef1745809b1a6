"""tensor: an N-dimensional Tensor with reverse-mode autograd, in PyTorch's spelling (`import tensor as torch`)."""

from tensor import methods as methods
from tensor.autograd import grad as grad
from tensor.create import *
from tensor.devices import Device as device
from tensor.dtypes import *
from tensor.modes import (
    detect_anomaly,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from tensor.op import Op
from tensor.ops.arithmetic import *
from tensor.ops.maths import *
from tensor.ops.matmul import *
from tensor.ops.reduce import *
from tensor.ops.shape import *
from tensor.tensor import Tensor
