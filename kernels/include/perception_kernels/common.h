/* What every operation on raw memory shares.
 *
 * Conventions
 * - Every function returns a pk_status; after anything but PK_OK, pk_last_error() tells the calling thread why, and
 *   the outputs are undefined. Nothing throws or aborts across this interface, and there is no mutable global state.
 * - Arrays are dense, row-major and owned by the caller; outputs never overlap inputs but where that is said. Sizes are
 *   rows, channels or elements. Pointers may be null only where that is said, or where their size is 0.
 * - coords: int32 [n, 4] = batch, x, y, z, in voxels of their own level. batch lies in 0..4095 and x, y, z in
 *   -65504..65503; anything else is PK_OUT_OF_RANGE, never a wrap.
 * - table: int32 [n_out, kernel_volume]: the input row that weight k of an output row multiplies, -1 for none.
 *   Weight order as in the published checkpoints of torchsparse: size 3 has x fastest, size 2 has z fastest.
 * - weight: float32 [kernel_volume, c_in, c_out].
 * - Results do not depend on the number of threads.
 *
 * On a GPU (pk_execution.device >= 0)
 * - Arrays lie in that GPU's memory. Small fixed-size arrays ("[3]"), structs and counts stay in host memory.
 * - Calls return when their work is queued on the stream. Those that give a count in host memory, and those that say
 *   so, wait for the stream, and report what is wrong with the contents of arrays as on the CPU. The others do not
 * wait: an index that lies outside its array counts as absent there, and is never followed.
 */
#ifndef PERCEPTION_KERNELS_COMMON_H_
#define PERCEPTION_KERNELS_COMMON_H_

#include <stdint.h>

#if defined(_WIN32)
#define PK_API __declspec(dllexport)
#else
#define PK_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when a function is added, removed or changes its meaning. */
#define PK_INTERFACE_VERSION 5

typedef enum pk_status {
  PK_OK = 0,
  PK_INVALID_ARGUMENT = 1,
  PK_OUT_OF_RANGE = 2,
  PK_NO_MEMORY = 3,
  PK_UNSUPPORTED = 4,
  PK_INTERNAL = 5
} pk_status;

#define PK_DEVICE_CPU (-1)

/* How features, weights and outputs are stored; sums are always float32. */
typedef enum pk_dtype { PK_FLOAT32 = 0, PK_FLOAT16 = 1 } pk_dtype;

/* Where a call runs. Null means the CPU with one thread. */
typedef struct pk_execution {
  int32_t device;  /* PK_DEVICE_CPU, or the index of a GPU */
  int32_t threads; /* CPU threads, at least 1 */
  void* stream;    /* a CUDA stream; ignored on the CPU */
} pk_execution;

/* What is wrong with the last call of this thread that failed; valid until its next failing call. */
PK_API const char* pk_last_error(void);

PK_API int32_t pk_interface_version(void);

/* Whether the library was built with CUDA: 0 no, 1 yes, 2 emulated on the CPU (for tests). */
PK_API int32_t pk_has_cuda(void);

/* The instruction set chosen on this machine: "avx512", "avx2", "neon" or "baseline". The environment variable
 * PERCEPTION_KERNELS_INSTRUCTION_SET, read once, names a narrower one. */
PK_API const char* pk_instruction_set(void);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_COMMON_H_ */
