// As prelude.h, and the headers of 16-bit numbers: their many functions would double the time of a kernel without them.
#include "prelude.h"
#include <cupy/float16.cuh>
#include <cuda_bf16.h>
