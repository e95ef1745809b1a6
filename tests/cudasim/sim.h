/* What the parts of the simulated CUDA driver (libcuda.so.1) share. */
#ifndef CUDASIM_H
#define CUDASIM_H

#include <stdbool.h>
#include <stddef.h>

enum { /* CUDA's own error numbers */
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    NOT_FOUND = 500,
    LAUNCH_FAILURE = 719,
    NOT_SUPPORTED = 801,
};

enum { DEVICES = 2, WARP = 32, MAX_THREADS = 1024, DEFAULT_SHARED = 48 << 10, MAX_SHARED = 227 << 10 };

typedef struct {
    unsigned x, y, z;
} Triple; /* uint3 and dim3 of CUDA */

typedef void (*KernelThread)(void **arguments); /* runs one thread of a kernel */

/* threads.c: run all blocks, one after the other. False when threads wait for one another for ever. */
bool cudasim_run(KernelThread kernel, void **arguments, Triple grid, Triple block, size_t shared_bytes, bool barriers);

/* memory.c: the device whose memory p points into, or -1 for the host's. */
int sim_cudaGetDevice(int *device);
int cudasim_device_of(const void *p);

#endif
