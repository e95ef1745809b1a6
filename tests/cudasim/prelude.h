// Compiled once, before all kernels: the language, and the headers that CuPy's own kernels include.
#pragma once
#include "device.h"
#include <cupy/complex.cuh>
#include <cupy/carray.cuh>
#include <cupy/atomics.cuh>
#include <cupy/math_constants.h>
