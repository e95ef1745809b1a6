// Compiled once, before all kernels: the language, and the headers that CuPy's own kernels include.
#include "device.h"
#include <cupy/complex.cuh>
#include <cupy/carray.cuh>
#include <cupy/atomics.cuh>
#include <cupy/math_constants.h>
#include <cupy/float16.cuh>
#include <cuda_bf16.h>
