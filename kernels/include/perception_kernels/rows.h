/* What lies between the layers of a network: rows of features added, joined, taken and converted, and scores turned
 * into labels. Conventions: perception_kernels/common.h. */
#ifndef PERCEPTION_KERNELS_ROWS_H_
#define PERCEPTION_KERNELS_ROWS_H_

#include "perception_kernels/common.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PK_MOST_JOINED 8

/* The label of what could not be classified; its probability is 0. */
#define PK_NO_CLASS 255

/* output = relu(a + b), all [rows, channels] stored as `dtype`, added in float32; relu applies if it is not 0, and NaN
 * stays. output may be a or b itself. */
PK_API pk_status pk_add_rows(const pk_execution* where, const void* a, const void* b, int32_t dtype, int64_t rows,
                             int32_t channels, int32_t relu, void* output);

/* Each row of output is the rows of n_inputs (1 to PK_MOST_JOINED) inputs one after the other, whatever their elements
 * are: input i has row_bytes[i] bytes a row (1 to 2^24). inputs and row_bytes are arrays in host memory. */
PK_API pk_status pk_concatenate_columns(const pk_execution* where, const void* const* inputs, const int32_t* row_bytes,
                                        int32_t n_inputs, int64_t rows, void* output);

/* output [n] = values[rows[i]], whatever the elements are: a row has row_bytes bytes (1 to 2^24). Where rows[i] is -1,
 * every byte is absent_byte: 0 for a row of zeros, 255 for an index of -1. */
PK_API pk_status pk_take_rows(const pk_execution* where, const void* values, int32_t row_bytes, int64_t n_values,
                              const int32_t* rows, int64_t n, int32_t absent_byte, void* output);

/* output [count] = values [count] in another pk_dtype, to the nearest and on a tie to the even one; what is too large
 * becomes infinite. */
PK_API pk_status pk_cast(const pk_execution* where, const void* values, int32_t from_dtype, int64_t count,
                         int32_t to_dtype, void* output);

/* output [count] = values [count], such as coordinates, as float32, to the nearest and on a tie to the even one. */
PK_API pk_status pk_cast_integers(const pk_execution* where, const int32_t* values, int64_t count, float* output);

/* The class of the highest score of each row of scores [rows, classes], stored as `dtype`, the lowest class of several,
 * and its probability by softmax over the row. classes: 1 to 255. A row with a NaN, or whose highest score is infinite,
 * is PK_NO_CLASS. */
PK_API pk_status pk_best_class(const pk_execution* where, const void* scores, int32_t dtype, int64_t rows,
                               int32_t classes, uint8_t* class_ids, float* probabilities);

/* The labels of the voxel inverse[i] of each of n points; a point without one (-1, or n_voxels and above) is
 * PK_NO_CLASS. */
PK_API pk_status pk_spread_labels(const pk_execution* where, const uint8_t* class_ids, const float* probabilities,
                                  int64_t n_voxels, const int32_t* inverse, int64_t n, uint8_t* point_class_ids,
                                  float* point_probabilities);

#ifdef __cplusplus
}
#endif

#endif /* PERCEPTION_KERNELS_ROWS_H_ */
