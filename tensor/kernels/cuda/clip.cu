// What clipping does to many gradients in one launch (see tensor/kernels/clip.py).

#include "table.cuh"
#include "rows.cuh"

// sums[b] = Σ x² of the elements of block b: added up in a fixed order, so that the same gradients give the same bits.
extern "C" __global__ void sum_of_squares(const __grid_constant__ Table table, accum* sums) {
    Entry entry = own_entry(table);
    accum sum = 0;
    each_own_element(entry, [&](long long i) { sum += accum(entry.arrays[0][i]) * accum(entry.arrays[0][i]); });
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// x ← factor · x
extern "C" __global__ void scale(const __grid_constant__ Table table, const accum* factor) {
    Entry entry = own_entry(table);
    accum f = *factor;
    each_own_element(entry, [=](long long i) { entry.arrays[0][i] = scalar(f * accum(entry.arrays[0][i])); });
}
