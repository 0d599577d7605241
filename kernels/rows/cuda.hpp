// The operations of this folder on a GPU. Arguments as in perception_kernels/rows.h, already checked.
#pragma once

#include "common/gpu.hpp"
#include "rows/inner_loops.hpp"

namespace pk::cuda {

void add_rows(const Gpu& gpu, const Addition& call, int32_t dtype);

void concatenate_columns(const Gpu& gpu, const void* const* inputs, const int32_t* row_bytes, int32_t n_inputs,
                         int64_t rows, void* output);

void take_rows(const Gpu& gpu, const void* values, int32_t row_bytes, int64_t n_values, const int32_t* rows, int64_t n,
               int32_t absent_byte, void* output);

void cast(const Gpu& gpu, const void* values, int32_t from_dtype, int64_t count, int32_t to_dtype, void* output);

void cast_integers(const Gpu& gpu, const int32_t* values, int64_t count, float* output);

void best_class(const Gpu& gpu, const Scores& call, int32_t dtype);

void spread_labels(const Gpu& gpu, const uint8_t* class_ids, const float* probabilities, int64_t n_voxels,
                   const int32_t* inverse, int64_t n, uint8_t* point_class_ids, float* point_probabilities);

}  // namespace pk::cuda
