// The largest of many ranks on a GPU.
#pragma once

#include "common/gpu.hpp"

namespace pk::cuda {

// The `count` largest of each of `batches` rows of n ranks, largest first, equal ones in the order of their places, as
// batch << 32 | ~rank (keys) and place (places), [batches, count] each. 1 <= count <= n, batches * n < 2^31.
void select_largest(const Gpu& gpu, const uint32_t* ranks, int64_t batches, int64_t n, int64_t count, uint64_t* keys,
                    int32_t* places);

}  // namespace pk::cuda
