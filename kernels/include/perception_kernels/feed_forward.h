/* Dense layers of rows of features, with what follows them. Conventions: perception_kernels/common.h. */
#ifndef PERCEPTION_KERNELS_FEED_FORWARD_H_
#define PERCEPTION_KERNELS_FEED_FORWARD_H_

#include "perception_kernels/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* gelu(x) = x / 2 * (1 + erf(x / sqrt(2))), not its approximation by tanh. */
typedef enum pk_activation { PK_NO_ACTIVATION = 0, PK_RELU = 1, PK_GELU = 2 } pk_activation;

/* output = norm(activation(input @ weight^T + bias + residual[residual_rows])), added up in float32, rounded once.
 * input [rows, c_in], weight [c_out, c_in], residual [residual_count, c_out] and output [rows, c_out] are stored as
 * dtype; the rows of input lie input_step elements apart, so that it may be columns of a larger array. bias,
 * norm_weight and norm_bias [c_out] are float32. norm is layer normalisation over the channels of a row
 * (biased variance). Row i adds residual row residual_rows[i], -1 for none; without residual_rows, row i adds row i,
 * and output may be residual itself. c_in and c_out: 1 to 65536. Extra memory: the weights once more on the CPU; on a
 * GPU [rows, c_out] float32 with norm in half precision, else nothing. */
typedef struct pk_linear {
  const void* input;
  const void* weight;
  const float* bias;            /* or null */
  const void* residual;         /* or null */
  const int32_t* residual_rows; /* [rows], or null: residual_count equals rows */
  const float* norm_weight;     /* null: no normalisation */
  const float* norm_bias;       /* null with norm_weight */
  void* output;
  int64_t rows;
  int64_t input_step; /* at least c_in */
  int64_t residual_count;
  int32_t c_in;
  int32_t c_out;
  int32_t activation; /* pk_activation */
  int32_t dtype;      /* pk_dtype */
  float norm_epsilon; /* positive, with norm_weight */
} pk_linear;

PK_API pk_status pk_linear_layer(const pk_execution* where, const pk_linear* layer);

/* output [rows, channels] = layer normalisation of input + residual, both stored as dtype; residual may be null, weight
 * and bias [channels] are float32. */
PK_API pk_status pk_layer_norm(const pk_execution* where, const void* input, const void* residual, const float* weight,
                               const float* bias, int64_t rows, int32_t channels, float epsilon, int32_t dtype,
                               void* output);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_FEED_FORWARD_H_ */
