// Sparse convolution on a GPU. The arguments were checked by the entry points, the contents of indices were not.
#pragma once

#include "common/gpu.hpp"

namespace pk::cuda {

void sparse_convolution(const Gpu& gpu, const pk_convolution& layer, const int32_t* table);
void prepared_convolution(const Gpu& gpu, const pk_convolution& layer, const pk_prepared_table& prepared,
                          const pk_convolution_tuning& tuning);
void inverse_convolution(const Gpu& gpu, const pk_convolution& layer, const int32_t* parent, const uint8_t* offset);
void weight_gradient(const Gpu& gpu, const pk_convolution_gradient& gradient, const int32_t* table);

void count_pairs(const Gpu& gpu, const int32_t* table, int64_t n_out, int32_t volume, int64_t n_in, int32_t* begins,
                 int64_t* counts);
void list_pairs(const Gpu& gpu, const int32_t* table, int64_t n_out, int32_t volume, int64_t n_in,
                const int32_t* begins, int64_t pairs, int32_t* inputs, int32_t* outputs);
void order_rows(const Gpu& gpu, const int32_t* table, int64_t n_out, int32_t volume, int64_t n_in, int32_t* order);

}  // namespace pk::cuda
