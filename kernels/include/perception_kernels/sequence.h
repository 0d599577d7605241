/* Tokens along a sequence. Conventions: perception_kernels/common.h. */
#ifndef PERCEPTION_KERNELS_SEQUENCE_H_
#define PERCEPTION_KERNELS_SEQUENCE_H_

#include "perception_kernels/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Gated rows, each channel convolved along the sequence: with g = a / (1 + exp(-b)) for a row (a, b) of gated,
 *
 *   output[row at position p] = sum over t of kernel[t] * g[row at position p + t - kernel_size / 2]
 *
 * where a position outside p's own sequence adds nothing. Sequences lie one after the other; counts, in host memory,
 * are their tokens and add up to n_tokens. gated [n_tokens, 2 * channels] and output [n_tokens, channels] are stored as
 * dtype, kernel float32 [kernel_size, channels]; sums are float32, rounded once. channels: 1 to 4096; kernel_size: odd,
 * at most 31. order [n_tokens] holds every row once: an error where it does not, and on a GPU a row that does not exist
 * adds nothing. Extra memory: on the CPU some hundred rows a thread. */
typedef struct pk_sequence {
  const void* gated;
  const int32_t* order; /* or null: rows are in sequence */
  const int64_t* counts;
  const float* kernel;
  void* output;
  int64_t n_tokens;
  int64_t n_sequences;
  int32_t channels;
  int32_t kernel_size;
  int32_t dtype; /* pk_dtype */
} pk_sequence;

PK_API pk_status pk_sequence_convolution(const pk_execution* where, const pk_sequence* call);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_SEQUENCE_H_ */
