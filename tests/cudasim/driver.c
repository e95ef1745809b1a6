/* The functions of the CUDA driver that CuPy calls: modules, kernels, launches.

   A module's image is not machine code for a GPU but a line of text, "CUDASIM <0 or 1> <path>": the path of a shared
   library that compiler.py made of the kernels' source, and whether their threads wait for one another. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

typedef struct {
    void *library;
    bool barriers;
} Module;

typedef struct {
    char name[256];
    KernelThread thread;
    bool barriers;
    unsigned max_shared; /* bytes a launch may ask for */
} Function;

static long launches;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* kernels keep shared memory in static variables */

/* How many kernels have been launched. */
long cudasim_launches(void) { return launches; }

/* ------------------------------------------------------------------ modules and functions */

int cuModuleLoadData(Module **module, const char *image) {
    int barriers;
    char path[4096];
    if (sscanf(image, "CUDASIM %d %4095[^\n]", &barriers, path) != 2) return INVALID_IMAGE;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "cudasim: %s\n", dlerror());
        return INVALID_IMAGE;
    }
    *module = malloc(sizeof **module);
    **module = (Module){library, barriers};
    return SUCCESS;
}

int cuModuleUnload(Module *module) {
    free(module); /* the library stays: a function of it may still be in use */
    return SUCCESS;
}

int cuModuleGetFunction(Function **function, Module *module, const char *name) {
    char symbol[300];
    snprintf(symbol, sizeof symbol, "cudasim_thread_%s", name);
    KernelThread thread = (KernelThread)dlsym(module->library, symbol);
    if (!thread) return NOT_FOUND;
    *function = calloc(1, sizeof **function);
    **function = (Function){"", thread, module->barriers, DEFAULT_SHARED};
    snprintf((*function)->name, sizeof(*function)->name, "%s", name);
    return SUCCESS;
}

enum FunctionAttribute { MAX_THREADS_PER_BLOCK = 0, MAX_DYNAMIC_SHARED = 8 };

int cuFuncGetAttribute(int *value, int attribute, Function *function) {
    *value = attribute == MAX_THREADS_PER_BLOCK ? MAX_THREADS
             : attribute == MAX_DYNAMIC_SHARED  ? (int)function->max_shared
                                                : 0;
    return SUCCESS;
}

int cuFuncSetAttribute(Function *function, int attribute, int value) {
    if (attribute == MAX_DYNAMIC_SHARED) {
        if (value < 0 || value > MAX_SHARED) return INVALID_VALUE;
        function->max_shared = value > DEFAULT_SHARED ? value : DEFAULT_SHARED;
    }
    return SUCCESS;
}

/* ------------------------------------------------------------------ launches */

int cuLaunchKernel(Function *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                   unsigned block_y, unsigned block_z, unsigned shared_bytes, void *stream, void **arguments,
                   void **extra) {
    (void)stream, (void)extra;
    Triple grid = {grid_x, grid_y, grid_z}, block = {block_x, block_y, block_z};
    unsigned long threads = (unsigned long)block_x * block_y * block_z;
    bool grid_fits = grid_x && grid_y && grid_z && grid_x <= 2147483647u && grid_y <= 65535 && grid_z <= 65535;
    if (!grid_fits || !threads || threads > MAX_THREADS || block_z > 64 || shared_bytes > function->max_shared)
        return INVALID_VALUE;
    pthread_mutex_lock(&lock);
    launches++;
    bool finished = cudasim_run(function->thread, arguments, grid, block, shared_bytes, function->barriers);
    pthread_mutex_unlock(&lock);
    if (finished) return SUCCESS;
    fprintf(stderr, "cudasim: in %s, threads of a block wait at barriers that the others do not reach\n",
            function->name);
    return LAUNCH_FAILURE;
}

int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks) {
    *blocks = 8;
    return SUCCESS;
}

int cuOccupancyMaxPotentialBlockSize(int *grid, int *block) {
    *grid = 216;
    *block = 256;
    return SUCCESS;
}

/* ------------------------------------------------------------------ contexts and errors */

int cuGetErrorName(int error, const char **text) {
    (void)error;
    *text = "CUDA_ERROR_SIMULATED";
    return SUCCESS;
}

int cuGetErrorString(int error, const char **text) {
    switch (error) {
    case INVALID_VALUE: *text = "invalid argument, or a launch beyond the limits of the device"; break;
    case INVALID_IMAGE: *text = "this module was not compiled for the simulated device"; break;
    case NOT_FOUND: *text = "the module has no such kernel"; break;
    case LAUNCH_FAILURE: *text = "threads of a block wait for one another for ever"; break;
    default: *text = "not supported by the simulated device";
    }
    return SUCCESS;
}

int cuCtxGetCurrent(void **context) {
    *context = (void *)8;
    return SUCCESS;
}

int cuCtxGetDevice(int *device) { return sim_cudaGetDevice(device); }

int cuCtxSetCurrent(void) { return SUCCESS; }
int cuCtxCreate_v2(void **context) { return cuCtxGetCurrent(context); }
int cuCtxDestroy_v2(void) { return SUCCESS; }
int cuDevicePrimaryCtxRelease_v2(void) { return SUCCESS; }

#define MISSING(name) \
    int name(void) { return NOT_SUPPORTED; }
MISSING(cuLaunchCooperativeKernel)
MISSING(cuLinkAddData_v2)
MISSING(cuLinkAddFile_v2)
MISSING(cuLinkComplete)
MISSING(cuLinkCreate_v2)
MISSING(cuLinkDestroy)
MISSING(cuModuleGetGlobal_v2)
MISSING(cuModuleLoad)
MISSING(cuStreamGetCtx)
