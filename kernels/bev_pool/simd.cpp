#include "bev_pool/inner_loops.hpp"
#include "common/transpose.hpp"
#include "common/vectors.hpp"

namespace pk::PK_SET {
namespace {

// Points per camera and depth are no powers of two; multiplying by the reciprocal, half a step off the border, is exact
// for indices of 31 bits and, unlike a division, a vector instruction.
void lift_entries(const LiftEntries& call) {
  const double per_pixels = 1.0 / call.pixels;
  const double per_depths = 1.0 / call.depths;
  const int32_t pixels = call.pixels;
  const int32_t* __restrict order = call.order;
  int32_t* __restrict rows = call.rows;
  for (int64_t i = 0; i < call.count; ++i) {
    const auto slice = static_cast<int32_t>((order[i] + 0.5) * per_pixels);
    const auto camera = static_cast<int32_t>((slice + 0.5) * per_depths);
    rows[i] = (camera - slice) * pixels + order[i];
  }
  const float* __restrict depth = call.depth;
  float* __restrict weights = call.weights;
  for (int64_t i = 0; i < call.count; ++i) weights[i] = depth[order[i]];
}

template <int kFloats>
void pixel_gradient(const PixelGradient& call) {
  for (int64_t c = 0; c < call.channels; ++c) call.context_gradient[c] = 0.0F;
  for (int64_t d = 0; d < call.depths; ++d) {
    const int64_t point = d * call.pixels;
    call.depth_gradient[point] = 0.0F;
    if (call.cells[point] < 0) continue;
    const float* gradient = call.map_gradient + call.cells[point] * call.channels;
    const float weight = call.depth[point];
    Vector<kFloats> products = {};
    int64_t c = 0;
    for (; c + kFloats <= call.channels; c += kFloats) {
      const Vector<kFloats> value = load<kFloats>(gradient + c);
      products += value * load<kFloats>(call.context + c);
      store<kFloats>(call.context_gradient + c, load<kFloats>(call.context_gradient + c) + weight * value);
    }
    float sum = 0.0F;
    for (int lane = 0; lane < kFloats; ++lane) sum += products[lane];
    for (; c < call.channels; ++c) {
      sum += gradient[c] * call.context[c];
      call.context_gradient[c] += weight * gradient[c];
    }
    call.depth_gradient[point] = sum;
  }
}

}  // namespace

#if defined(__AVX512F__)
const BevLoops bev_loops = {lift_entries, transpose, pixel_gradient<16>};
#elif defined(__AVX2__)
const BevLoops bev_loops = {lift_entries, transpose, pixel_gradient<8>};
#else
const BevLoops bev_loops = {lift_entries, transpose, pixel_gradient<4>};
#endif

}  // namespace pk::PK_SET
