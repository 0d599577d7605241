#include "image/inner_loops.hpp"

namespace pk::PK_SET {
namespace {

// Four pixels at once: 16 bytes, widened to 16 sums. Unsigned products wrap, so that no weight is undefined behaviour.
typedef uint8_t Bytes __attribute__((vector_size(16), aligned(4), may_alias));
typedef uint32_t Sums __attribute__((vector_size(64)));
typedef int32_t SignedSums __attribute__((vector_size(64)));

inline void add_weighted(Sums& sums, const uint32_t* words, int32_t weight) {
  sums += __builtin_convertvector(*reinterpret_cast<const Bytes*>(words), Sums) * static_cast<uint32_t>(weight);
}

inline void store_rounded(const Sums& sums, uint32_t* words) {
  SignedSums value = reinterpret_cast<SignedSums>(sums + (1U << (kWeightBits - 1))) >> kWeightBits;
  value &= ~(value >> 31);
  const SignedSums above = value > 255;
  *reinterpret_cast<Bytes*>(words) = __builtin_convertvector((value & ~above) | (above & 255), Bytes);
}

void column_sums(const ColumnSums& call) {
  for (int32_t x = 0; x < call.size; ++x) {
    const uint32_t* pixels = call.pixels + int64_t{call.begins[x]} * kRowGroup;
    const int32_t* weights = call.weights + int64_t{x} * call.taps;
    Sums sums = {};
    for (int32_t k = 0; k < call.taps; ++k) add_weighted(sums, pixels + k * kRowGroup, weights[k]);
    uint32_t words[kRowGroup];
    store_rounded(sums, words);
    for (int row = 0; row < kRowGroup; ++row) call.targets[row][x] = words[row];
  }
}

void row_sums(const RowSums& call) {
  for (int64_t x = 0; x < call.width; x += kPixelBlock) {
    Sums sums = {};
    for (int32_t k = 0; k < call.taps; ++k) add_weighted(sums, call.first + k * call.width + x, call.weights[k]);
    store_rounded(sums, call.target + x);
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

const ImageLoops image_loops = {column_sums, row_sums, scale_channel};

}  // namespace pk::PK_SET
