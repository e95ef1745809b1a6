// Kernels that work on many arrays in one launch: each block on BLOCK_ELEMENTS elements of one entry of a table.

#include "types.cuh"

struct Entry {  // arrays of the same size, which are worked on together; one of them may be null
    scalar* arrays[ARRAYS];
    long long size;
    long long first_block;  // the number of the first block that works on it
};

struct Table {  // handed over with the launch, which may carry 4 KiB: nothing is copied to the device before
    Entry entries[TABLE_SIZE];
    long long count;
};

// This block's entry: the last one whose blocks begin at or before it.
__device__ inline Entry own_entry(const Table& table) {
    int own = 0;
    while (own + 1 < table.count && table.entries[own + 1].first_block <= blockIdx.x) own++;
    return table.entries[own];
}

// f(i) for this thread's elements of the entry.
template <typename F>
__device__ void each_own_element(const Entry& entry, F f) {
    long long start = (blockIdx.x - entry.first_block) * BLOCK_ELEMENTS;
    for (int k = threadIdx.x; k < BLOCK_ELEMENTS; k += blockDim.x)
        if (start + k < entry.size) f(start + k);
}
