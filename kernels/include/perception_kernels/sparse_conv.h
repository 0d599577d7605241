/* Sparse convolution, forward and backward. Conventions: perception_kernels/common.h. */
#ifndef PERCEPTION_KERNELS_SPARSE_CONV_H_
#define PERCEPTION_KERNELS_SPARSE_CONV_H_

#include "perception_kernels/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One layer. features [n_in, c_in], weight [kernel_volume, c_in, c_out], output [n_out, c_out] and residual
 * [n_out, c_out] are stored as `dtype`, a pk_dtype; bias [c_out] is always float32. bias and residual may be null.
 * output = relu(sum_k features[input(k)] @ weight[k] + bias + residual), added up in float32 and rounded once, where
 * relu applies if `relu` is not 0; output may be residual itself. With transpose_weight not 0, weight is
 * [kernel_volume, c_out, c_in] and its transpose is used (gradients of data). */
typedef struct pk_convolution {
  const void* features;
  const void* weight;
  const float* bias;
  const void* residual;
  void* output;
  int64_t n_in;
  int64_t n_out;
  int32_t kernel_volume;
  int32_t c_in;
  int32_t c_out;
  int32_t relu;
  int32_t transpose_weight;
  int32_t dtype;
} pk_convolution;

/* The gradient of a layer's weight. features [n_in, c_in] and output_gradient [n_out, c_out] are stored as `dtype`, a
 * pk_dtype; weight_gradient [kernel_volume, c_in, c_out] is float32. */
typedef struct pk_convolution_gradient {
  const void* features;
  const void* output_gradient;
  float* weight_gradient;
  int64_t n_in;
  int64_t n_out;
  int32_t kernel_volume;
  int32_t c_in;
  int32_t c_out;
  int32_t dtype;
} pk_convolution_gradient;

/* Inputs by a table [n_out, kernel_volume].
 *
 * Extra memory on the CPU, here and in the next function: the weights once more as float32, and a thread at most
 * 1 MiB + 2 KiB x kernel_volume up to 4096 channels (c_in + c_out). It does not grow with rows or pairs. */
PK_API pk_status pk_sparse_convolution(const pk_execution* where, const pk_convolution* layer, const int32_t* table);

/* Each output row has one input, parent[i], and one weight, offset[i]: the transposed convolution of size 2, stride 2.
 * parent -1 leaves bias and residual. */
PK_API pk_status pk_inverse_convolution(const pk_execution* where, const pk_convolution* layer, const int32_t* parent,
                                        const uint8_t* offset);

/* weight_gradient[k] = sum over o of features[table[o, k]]^T output_gradient[o], with a table [n_out, kernel_volume].
 */
PK_API pk_status pk_weight_gradient(const pk_execution* where, const pk_convolution_gradient* gradient,
                                    const int32_t* table);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_SPARSE_CONV_H_ */
