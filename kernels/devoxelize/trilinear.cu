#include "devoxelize/cuda.hpp"

namespace pk::cuda {

void trilinear_table(const Gpu&, const float*, int64_t, int32_t, const pk_hash&, int32_t*, float*) {
  throw Failure(PK_UNSUPPORTED, "this operation has no CUDA kernel yet");
}

}  // namespace pk::cuda
