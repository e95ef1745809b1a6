/* The other functions of the CUDA runtime that CuPy calls: properties of the device, streams, events.
   Everything is done when a call returns, so streams and events have nothing to wait for. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim.h"

/* ------------------------------------------------------------------ properties */

int sim_cudaDriverGetVersion(int *version) {
    *version = 12090;
    return SUCCESS;
}

static int attribute(int number) {
    switch (number) { /* enum cudaDeviceAttr */
    case 1: return MAX_THREADS;              /* threads of a block */
    case 2: case 3: return MAX_THREADS;      /* of them along x, y */
    case 4: return 64;                       /* along z */
    case 5: return 2147483647;               /* blocks along x */
    case 6: case 7: return 65535;            /* along y, z */
    case 8: return DEFAULT_SHARED;           /* shared memory of a block */
    case 10: return WARP;
    case 16: return 108;                     /* multiprocessors */
    case 39: return 2048;                    /* threads of a multiprocessor */
    case 75: return 8;                       /* compute capability: 8. */
    case 76: return 0;                       /* … .0 */
    case 97: return MAX_SHARED;              /* shared memory of a block that asks for more */
    default: return 0;
    }
}

int sim_cudaDeviceGetAttribute(int *value, int number, int device) {
    if (device < 0 || device >= DEVICES) return INVALID_DEVICE;
    *value = attribute(number);
    return SUCCESS;
}

int sim_cudaGetDeviceProperties_v2(char *properties, int device) {
    if (device < 0 || device >= DEVICES) return INVALID_DEVICE;
    memset(properties, 0, 600); /* offsets of struct cudaDeviceProp in CUDA 12 */
    strcpy(properties, "simulated CUDA device");
    *(size_t *)(properties + 288) = (size_t)8 << 30;
    *(size_t *)(properties + 296) = DEFAULT_SHARED;
    *(int *)(properties + 304) = 65536; /* registers of a block */
    *(int *)(properties + 308) = WARP;
    int *limits = (int *)(properties + 320);
    for (int i = 0; i < 7; i++) limits[i] = attribute(i + 1);
    *(int *)(properties + 360) = attribute(75);
    *(int *)(properties + 364) = attribute(76);
    return SUCCESS;
}

int sim_cudaDeviceCanAccessPeer(int *can, int device, int peer) {
    *can = device != peer;
    return SUCCESS;
}

int sim_cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
    (void)peer, (void)flags;
    return SUCCESS;
}

/* ------------------------------------------------------------------ streams and events */

static intptr_t handles = 0x1000;

int sim_cudaStreamCreate(void **stream) {
    *stream = (void *)(handles += 16);
    return SUCCESS;
}

int sim_cudaStreamCreateWithFlags(void **stream, unsigned flags) {
    (void)flags;
    return sim_cudaStreamCreate(stream);
}

int sim_cudaStreamCreateWithPriority(void **stream, unsigned flags, int priority) {
    (void)flags, (void)priority;
    return sim_cudaStreamCreate(stream);
}

int sim_cudaStreamIsCapturing(void *stream, int *status) {
    (void)stream;
    *status = 0;
    return SUCCESS;
}

int sim_cudaEventCreate(void **event) {
    *event = calloc(1, sizeof(struct timespec));
    return SUCCESS;
}

int sim_cudaEventCreateWithFlags(void **event, unsigned flags) {
    (void)flags;
    return sim_cudaEventCreate(event);
}

int sim_cudaEventDestroy(void *event) {
    free(event);
    return SUCCESS;
}

int sim_cudaEventRecord(void *event, void *stream) {
    (void)stream;
    clock_gettime(CLOCK_MONOTONIC, event);
    return SUCCESS;
}

int sim_cudaEventElapsedTime(float *milliseconds, const struct timespec *start, const struct timespec *end) {
    *milliseconds = (end->tv_sec - start->tv_sec) * 1e3f + (end->tv_nsec - start->tv_nsec) * 1e-6f;
    return SUCCESS;
}

#define ALWAYS_SUCCEEDS(name) \
    int sim_##name(void) { return SUCCESS; }
ALWAYS_SUCCEEDS(cudaDeviceSynchronize)
ALWAYS_SUCCEEDS(cudaStreamSynchronize)
ALWAYS_SUCCEEDS(cudaStreamQuery)
ALWAYS_SUCCEEDS(cudaStreamDestroy)
ALWAYS_SUCCEEDS(cudaStreamWaitEvent)
ALWAYS_SUCCEEDS(cudaEventSynchronize)
ALWAYS_SUCCEEDS(cudaEventQuery)
ALWAYS_SUCCEEDS(cudaGetLastError)
ALWAYS_SUCCEEDS(cudaPeekAtLastError)
