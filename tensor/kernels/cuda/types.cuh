// The types that every kernel is compiled for, one at a time. SCALAR is what lies in memory: float, double or __half.
// ACCUM is what is computed in: the same, but float for __half, whose ten bits are too few to add up in.

#include <cuda_fp16.h>

typedef SCALAR scalar;
typedef ACCUM accum;

__device__ inline accum infinity() { return accum(__int_as_float(0x7f800000)); }
