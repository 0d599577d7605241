#include "image/inner_loops.hpp"

namespace pk::PK_SET {
namespace {

template <int kLanes>
struct VectorsOf {
  // Loads and stores go through this type: any alignment.
  typedef uint32_t Words __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
  typedef uint32_t Sums __attribute__((vector_size(4 * kLanes)));
  typedef int32_t SignedSums __attribute__((vector_size(4 * kLanes)));
};

// One pixel a lane. Unsigned products wrap, so that no weight is undefined behaviour.
template <int kLanes>
struct PixelSums {
  using Words = typename VectorsOf<kLanes>::Words;
  using Sums = typename VectorsOf<kLanes>::Sums;
  using SignedSums = typename VectorsOf<kLanes>::SignedSums;

  Sums red = {}, green = {}, blue = {};

  void add(const uint32_t* words, int32_t weight) {
    const Sums pixels = *reinterpret_cast<const Words*>(words);
    const auto factor = static_cast<uint32_t>(weight);
    red += (pixels & 255U) * factor;
    green += ((pixels >> 8) & 255U) * factor;
    blue += (pixels >> 16) * factor;
  }
  static Sums rounded(const Sums& sums) {
    SignedSums value = reinterpret_cast<SignedSums>(sums + (1U << (kWeightBits - 1))) >> kWeightBits;
    value &= ~(value >> 31);
    const SignedSums above = value > 255;
    return reinterpret_cast<Sums>((value & ~above) | (above & 255));
  }
  void store(uint32_t* words) const {
    *reinterpret_cast<Words*>(words) = rounded(red) | rounded(green) << 8 | rounded(blue) << 16;
  }
};

template <int kLanes>
void column_sums(const ColumnSums& call) {
  for (int32_t x = 0; x < call.size; ++x) {
    const uint32_t* pixels = call.pixels + int64_t{call.begins[x]} * kLanes;
    const int32_t* weights = call.weights + int64_t{x} * call.taps;
    PixelSums<kLanes> sums;
    for (int32_t k = 0; k < call.taps; ++k) sums.add(pixels + k * kLanes, weights[k]);
    uint32_t words[kLanes];
    sums.store(words);
    for (int row = 0; row < kLanes; ++row) call.targets[row][x] = words[row];
  }
}

template <int kLanes>
void row_sums(const RowSums& call) {
  for (int64_t x = 0; x < call.width; x += kLanes) {
    PixelSums<kLanes> sums;
    for (int32_t k = 0; k < call.taps; ++k) sums.add(call.first + k * call.width + x, call.weights[k]);
    sums.store(call.target + x);
  }
}

void scale_channel(const ChannelScaling& call) {
  const auto scaled = [&](int64_t i) {
    return static_cast<float>(static_cast<int32_t>((call.pixels[i] >> call.shift) & 255U)) * call.scale + call.offset;
  };
  if (call.stride == 1)
    for (int64_t i = 0; i < call.count; ++i) call.output[i] = scaled(i);
  else
    for (int64_t i = 0; i < call.count; ++i) call.output[i * call.stride] = scaled(i);
}

}  // namespace

#if defined(__AVX512F__)
const ImageLoops image_loops = {16, column_sums<16>, row_sums<16>, scale_channel};
#elif defined(__AVX2__)
const ImageLoops image_loops = {8, column_sums<8>, row_sums<8>, scale_channel};
#else
const ImageLoops image_loops = {4, column_sums<4>, row_sums<4>, scale_channel};
#endif

}  // namespace pk::PK_SET
