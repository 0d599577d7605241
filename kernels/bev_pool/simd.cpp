#include "bev_pool/inner_loops.hpp"
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

typedef int32_t Lanes __attribute__((vector_size(16)));

// The first two lanes of both, or the last two, in turns.
inline Vector<4> interleaved_low(Vector<4> a, Vector<4> b) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, 0, 4, 1, 5);
#else
  return __builtin_shuffle(a, b, Lanes{0, 4, 1, 5});
#endif
}

inline Vector<4> interleaved_high(Vector<4> a, Vector<4> b) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, 2, 6, 3, 7);
#else
  return __builtin_shuffle(a, b, Lanes{2, 6, 3, 7});
#endif
}

inline void transpose_4_by_4(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
  const Vector<4> a = load<4>(from);
  const Vector<4> b = load<4>(from + from_stride);
  const Vector<4> c = load<4>(from + 2 * from_stride);
  const Vector<4> d = load<4>(from + 3 * from_stride);
  const Vector<4> ac_low = interleaved_low(a, c);
  const Vector<4> bd_low = interleaved_low(b, d);
  const Vector<4> ac_high = interleaved_high(a, c);
  const Vector<4> bd_high = interleaved_high(b, d);
  store<4>(to, interleaved_low(ac_low, bd_low));
  store<4>(to + to_stride, interleaved_high(ac_low, bd_low));
  store<4>(to + 2 * to_stride, interleaved_low(ac_high, bd_high));
  store<4>(to + 3 * to_stride, interleaved_high(ac_high, bd_high));
}

// Four columns at a time, so that lines of the result are filled one after another.
void transpose(const float* from, int64_t rows, int64_t columns, int64_t from_stride, float* to, int64_t to_stride) {
  const int64_t whole_rows = rows / 4 * 4;
  const int64_t whole_columns = columns / 4 * 4;
  for (int64_t column = 0; column < whole_columns; column += 4)
    for (int64_t row = 0; row < whole_rows; row += 4)
      transpose_4_by_4(from + row * from_stride + column, from_stride, to + column * to_stride + row, to_stride);
  for (int64_t column = 0; column < columns; ++column)
    for (int64_t row = column < whole_columns ? whole_rows : 0; row < rows; ++row)
      to[column * to_stride + row] = from[row * from_stride + column];
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
