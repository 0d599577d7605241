// Sparse convolution on a GPU. The arguments were checked by the entry points, the contents of indices were not.
#pragma once

#include "common/gpu.hpp"

namespace pk::cuda {

void sparse_convolution(const Gpu& gpu, const pk_convolution& layer, const int32_t* table);
void inverse_convolution(const Gpu& gpu, const pk_convolution& layer, const int32_t* parent, const uint8_t* offset);
void weight_gradient(const Gpu& gpu, const pk_convolution_gradient& gradient, const int32_t* table);

}  // namespace pk::cuda
