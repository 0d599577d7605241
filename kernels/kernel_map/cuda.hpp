#pragma once

#include "common/gpu.hpp"

namespace pk::cuda {

void submanifold_table(const Gpu& gpu, const int32_t* coords, int64_t n, const int32_t* size, int32_t* table);
void window_outputs(const Gpu& gpu, const int32_t* coords, int64_t n, const pk_window& window, const int32_t* bounds,
                    int32_t* out_coords, int64_t capacity, int64_t* count);
void window_table(const Gpu& gpu, const int32_t* coords, int64_t n, const int32_t* out_coords, int64_t n_out,
                  const pk_window& window, int32_t* table);
void strided_table(const Gpu& gpu, const int32_t* parent, const uint8_t* offset, int64_t n, int64_t n_coarse,
                   int32_t volume, int32_t* table);
void transpose_table(const Gpu& gpu, const int32_t* table, int64_t n_out, int32_t volume, int64_t n_in,
                     int32_t* transposed);

}  // namespace pk::cuda
