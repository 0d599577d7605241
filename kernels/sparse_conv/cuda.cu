#include "sparse_conv/cuda.hpp"

namespace pk::cuda {
namespace {

[[noreturn]] void not_yet() { throw Failure(PK_UNSUPPORTED, "this operation has no CUDA kernel yet"); }

}  // namespace

void sparse_convolution(const Gpu&, const pk_convolution&, const int32_t*) { not_yet(); }
void inverse_convolution(const Gpu&, const pk_convolution&, const int32_t*, const uint8_t*) { not_yet(); }
void weight_gradient(const Gpu&, const pk_convolution_gradient&, const int32_t*) { not_yet(); }

}  // namespace pk::cuda
