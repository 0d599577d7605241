/* A libcuda for tests whose device is the host's memory: what cuda-python calls, checked, done at once. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OK = 0, INVALID = 1, NO_MEMORY = 2, NO_DEVICE = 100, NO_CONTEXT = 201, BAD_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600 };
enum { MAGIC = 0x5EED, MOST = 256 };

typedef struct { int magic, kind, recorded; double time_ms; } Thing; /* a stream or an event */
typedef struct { uintptr_t target, source; size_t bytes; } Copy;
typedef struct { int magic; size_t count; Copy copies[MOST]; } Graph;
typedef struct {
  size_t src_x, src_y; int src_type; int pad0; const void* src_host; uint64_t src_device; void* src_array; size_t src_pitch;
  size_t dst_x, dst_y; int dst_type; int pad1; void* dst_host; uint64_t dst_device; void* dst_array; size_t dst_pitch;
  size_t width, height;
} Copy2D;

static __thread void* current;
static int context, pool;
static Graph* capturing;
static Thing* captured;

#define CONTEXT if (current != &context) return NO_CONTEXT
#define THING(thing, wanted) if (((Thing*)(thing))->magic != MAGIC || ((Thing*)(thing))->kind != (wanted)) return BAD_HANDLE
#define STREAM(stream) if ((stream) != NULL) THING(stream, 's')

static int devices(void) { const char* text = getenv("FAKE_CUDA_DEVICES"); return text ? atoi(text) : 1; }
static int pools(void) { return getenv("FAKE_CUDA_NO_POOLS") == NULL; }

int cuInit(unsigned flags) { return flags ? INVALID : devices() ? OK : NO_DEVICE; }
int cuDriverGetVersion(int* version) { *version = 13000; return OK; }
int cuDeviceGetCount(int* count) { *count = devices(); return OK; }
int cuDeviceGet(int* device, int index) { *device = index; return index < devices() ? OK : INVALID; }
int cuDeviceGetName(char* name, int size, int device) { snprintf(name, size, "Fake %d", device); return OK; }
int cuDeviceGetPCIBusId(char* bus, int size, int device) { snprintf(bus, size, "0000:%02d:00.0", device + 1); return OK; }
int cuDeviceTotalMem(size_t* bytes, int device) { *bytes = (size_t)8 << 30; return device < devices() ? OK : INVALID; }
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  *value = attribute == 75 ? 8 : attribute == 76 ? 7 : attribute == 18 ? 1 : attribute == 115 ? pools() : 0;
  return device < devices() ? OK : INVALID;
}
int cuDevicePrimaryCtxRetain(void** made, int device) { *made = &context; return device < devices() ? OK : INVALID; }
int cuCtxSetCurrent(void* wanted) { current = wanted; return OK; }
int cuMemGetInfo(size_t* free_bytes, size_t* total) { CONTEXT; *free_bytes = (size_t)4 << 30; *total = (size_t)8 << 30; return OK; }

int cuMemAlloc(uint64_t* address, size_t bytes) {
  CONTEXT;
  if (bytes > (size_t)4 << 30) return NO_MEMORY;
  *address = (uint64_t)memset(malloc(bytes), 0xFF, bytes);
  return OK;
}
int cuMemFree(uint64_t address) { CONTEXT; free((void*)address); return OK; }
int cuMemAllocAsync(uint64_t* address, size_t bytes, void* stream) { STREAM(stream); return pools() ? cuMemAlloc(address, bytes) : INVALID; }
int cuMemFreeAsync(uint64_t address, void* stream) { STREAM(stream); return pools() ? cuMemFree(address) : INVALID; }
int cuDeviceGetDefaultMemPool(void** made, int device) { *made = &pool; return pools() && device == 0 ? OK : INVALID; }
int cuMemPoolSetAttribute(void* given, int attribute, const uint64_t* value) {
  return given == &pool && attribute == 4 && *value <= (uint64_t)1 << 40 ? OK : INVALID;
}
int cuMemPoolTrimTo(void* given, size_t bytes) { return given == &pool && bytes == 0 ? OK : INVALID; }
int cuMemHostAlloc(void** host, size_t bytes, unsigned flags) { CONTEXT; *host = malloc(bytes); return flags == 3 ? OK : INVALID; }
int cuMemHostGetDevicePointer(uint64_t* address, void* host, unsigned flags) { *address = (uint64_t)host; return flags ? INVALID : OK; }
int cuMemFreeHost(void* host) { free(host); return OK; }

int cuMemcpyAsync(uint64_t target, uint64_t source, size_t bytes, void* stream) {
  CONTEXT; STREAM(stream);
  if (capturing == NULL) { memmove((void*)target, (const void*)source, bytes); return OK; }
  if (stream != captured || capturing->count == MOST) return INVALID;
  capturing->copies[capturing->count++] = (Copy){target, source, bytes};
  return OK;
}
int cuMemcpy2DAsync(const Copy2D* copy, void* stream) {
  CONTEXT; STREAM(stream);
  if (copy->src_type != 4 || copy->dst_type != 4 || copy->width > copy->src_pitch || copy->width > copy->dst_pitch) return INVALID;
  for (size_t row = 0; row < copy->height; ++row)
    memmove((char*)copy->dst_device + row * copy->dst_pitch, (const char*)copy->src_device + row * copy->src_pitch, copy->width);
  return OK;
}
int cuMemsetD8Async(uint64_t address, unsigned char value, size_t bytes, void* stream) {
  CONTEXT; STREAM(stream); memset((void*)address, value, bytes); return OK;
}

static int make(void** made, int kind) {
  Thing* thing = calloc(1, sizeof *thing);
  thing->magic = MAGIC; thing->kind = kind; *made = thing;
  return OK;
}
static int unmake(Thing* thing) { thing->magic = 0; return OK; } /* left there, so that a later use is seen */
int cuStreamCreate(void** stream, unsigned flags) { CONTEXT; return flags == 1 ? make(stream, 's') : INVALID; }
int cuStreamDestroy(void* stream) { CONTEXT; THING(stream, 's'); return unmake(stream); }
int cuStreamSynchronize(void* stream) { CONTEXT; STREAM(stream); return OK; }
int cuEventCreate(void** event, unsigned flags) { CONTEXT; make(event, 'e'); (*(Thing**)event)->recorded = flags & 2 ? -1 : 0; return flags & 1 ? OK : INVALID; }
int cuEventDestroy(void* event) { CONTEXT; THING(event, 'e'); return unmake(event); }
int cuEventRecord(void* event, void* stream) {
  CONTEXT; THING(event, 'e'); STREAM(stream);
  struct timespec now; clock_gettime(CLOCK_MONOTONIC, &now);
  Thing* thing = event; thing->time_ms = 1e3 * now.tv_sec + 1e-6 * now.tv_nsec;
  if (thing->recorded == 0) thing->recorded = 1; /* -1: an event without time */
  return OK;
}
int cuStreamWaitEvent(void* stream, void* event, unsigned flags) { CONTEXT; STREAM(stream); THING(event, 'e'); return flags ? INVALID : OK; }
int cuEventSynchronize(void* event) { CONTEXT; THING(event, 'e'); return OK; }
int cuEventElapsedTime(float* elapsed_ms, void* begin, void* end) {
  CONTEXT; THING(begin, 'e'); THING(end, 'e');
  if (((Thing*)begin)->recorded != 1 || ((Thing*)end)->recorded != 1) return BAD_HANDLE;
  *elapsed_ms = (float)(((Thing*)end)->time_ms - ((Thing*)begin)->time_ms);
  return OK;
}

int cuStreamBeginCapture(void* stream, int mode) {
  CONTEXT; THING(stream, 's');
  if (mode != 1 || capturing != NULL) return INVALID;
  capturing = calloc(1, sizeof *capturing); capturing->magic = MAGIC; captured = stream;
  return OK;
}
int cuStreamEndCapture(void* stream, void** graph) {
  CONTEXT;
  if (capturing == NULL || stream != captured) return INVALID;
  *graph = capturing; capturing = NULL; captured = NULL;
  return OK;
}
int cuGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long flags) {
  CONTEXT;
  if (((Graph*)graph)->magic != MAGIC || flags != 0) return INVALID;
  *executable = memcpy(malloc(sizeof(Graph)), graph, sizeof(Graph));
  return OK;
}
int cuGraphDestroy(void* graph) { ((Graph*)graph)->magic = 0; return OK; }
int cuGraphExecDestroy(void* graph) { if (((Graph*)graph)->magic != MAGIC) return INVALID; free(graph); return OK; }
int cuGraphLaunch(void* graph, void* stream) {
  CONTEXT; STREAM(stream);
  for (size_t i = 0; i < ((Graph*)graph)->count; ++i) {
    Copy* copy = ((Graph*)graph)->copies + i;
    memmove((void*)copy->target, (const void*)copy->source, copy->bytes);
  }
  return OK;
}
int cuGetErrorString(int error, const char** text) { *text = error == BAD_HANDLE ? "invalid resource handle" : "made-up error"; return OK; }

int cuGetProcAddress_v2(const char* name, void** function, int version, uint64_t flags, int* status) {
  (void)version; (void)flags;
  Dl_info self;
  dladdr((void*)cuInit, &self);
  void* library = dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  *function = dlsym(library, name);
  if (status != NULL) *status = *function == NULL;
  return *function == NULL ? NOT_FOUND : OK;
}
int cuGetProcAddress(const char* name, void** function, int version, uint64_t flags, int* status) {
  return cuGetProcAddress_v2(name, function, version, flags, status);
}
