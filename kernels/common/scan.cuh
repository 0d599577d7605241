// Running sums of counts, the same on every run.
#pragma once

#include "common/cuda.cuh"

namespace pk::cuda {

// out[i] = in[0] + ... + in[i - 1] for i = 0..n: n + 1 outputs, the last of which is the total (scan.cu). The arrays
// may not overlap; the total must fit int32.
void exclusive_scan(const Gpu& gpu, const int32_t* in, int32_t* out, int64_t n);

}  // namespace pk::cuda
