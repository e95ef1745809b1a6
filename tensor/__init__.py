"""tensor: an N-dimensional Tensor with reverse-mode autograd, in PyTorch's spelling (`import tensor as torch`)."""

from math import e, inf, nan, pi

from tensor import blas as blas  # before anything that imports NumPy

# isort: split
from tensor import amp as amp
from tensor import cuda as cuda
from tensor import methods as methods
from tensor import profiler as profiler
from tensor.amp import autocast as autocast
from tensor.autograd import grad as grad
from tensor.create import *
from tensor.devices import Device as device
from tensor.devices import namespace
from tensor.dtypes import *
from tensor.dtypes import bool_ as bool
from tensor.dtypes import float32 as float
from tensor.dtypes import int32 as int
from tensor.gradcheck import *
from tensor.matmul_precision import *
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
from tensor.ops.bounds import *
from tensor.ops.cast import *
from tensor.ops.compare import *
from tensor.ops.diagonal import *
from tensor.ops.einsum import *
from tensor.ops.erf import *
from tensor.ops.extrema import *
from tensor.ops.fill import *
from tensor.ops.gather import *
from tensor.ops.index import *
from tensor.ops.join import *
from tensor.ops.masks import *
from tensor.ops.maths import *
from tensor.ops.matmul import *
from tensor.ops.reduce import *
from tensor.ops.repeat import *
from tensor.ops.rounding import *
from tensor.ops.scan import *
from tensor.ops.shape import *
from tensor.ops.slices import *
from tensor.ops.softmax import *
from tensor.ops.sort import *
from tensor.ops.split import *
from tensor.ops.trigonometry import *
from tensor.random import *
from tensor.recording import record as record
from tensor.tensor import Tensor

Size = tuple  # the type of x.shape
newaxis = None  # x[:, newaxis]
