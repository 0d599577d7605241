// Sorting of keys with their rows, stable and the same on every run.
#pragma once

#include "common/cuda.cuh"

namespace pk::cuda {

// Sort n keys by their lowest `bits` bits, and values with them, in place (radix_sort.cu). Equal keys keep their order.
void sort_pairs(const Gpu& gpu, uint64_t* keys, int32_t* values, int64_t n, int bits);

}  // namespace pk::cuda
