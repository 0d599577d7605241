#include "common/elementary.hpp"
#include "common/half_vectors.hpp"
#include "sequence/inner_loops.hpp"

namespace pk::PK_SET {
namespace {

constexpr float kLog2E = 1.44269504F;

// 1 / (1 + exp(-x)); NaN stays.
template <int kFloats>
inline Vector<kFloats> sigmoid(Vector<kFloats> x) {
  Vector<kFloats> power = x * -kLog2E;
  power = power > 126.0F ? Vector<kFloats>{} + 126.0F : power;
  return 1.0F / (1.0F + exp2<kFloats>(power));
}

// Call body(channel) for vectors that cover all channels: the last one ends with the row.
template <int kFloats, typename Body>
inline void each_vector(int64_t channels, const Body& body) {
  int64_t channel = 0;
  for (; channel + kFloats < channels; channel += kFloats) body(channel);
  body(channels - kFloats);
}

template <int kFloats, typename Stored>
void gate(const GatedRows& call) {
  if constexpr (kFloats > 1)
    if (call.channels < kFloats) return gate<kFloats / 2, Stored>(call);
  for (int64_t i = 0; i < call.count; ++i) {
    const Stored* values = static_cast<const Stored*>(call.stored) + call.rows[i] * 2 * call.channels;
    const Stored* gates = values + call.channels;
    float* to = call.gated + i * call.channels;
    each_vector<kFloats>(call.channels, [&](int64_t at) __attribute__((always_inline)) {
      store<kFloats>(to + at, load<kFloats>(values + at) * sigmoid<kFloats>(load<kFloats>(gates + at)));
    });
  }
}

// Rows beside each other share every load of the kernel.
template <int kFloats, int kRows, typename Stored>
inline void convolve_block(const ConvolvedRows& call, int64_t row, int64_t channel) {
  const float* gated = call.gated + row * call.channels + channel;
  const float* kernel = call.kernel + channel;
  Vector<kFloats> sums[kRows] = {};
  for (int64_t tap = 0; tap < call.kernel_size; ++tap, gated += call.channels, kernel += call.channels) {
    const Vector<kFloats> weight = load<kFloats>(kernel);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) sums[r] += weight * load<kFloats>(gated + r * call.channels);
  }
  auto* output = static_cast<Stored*>(call.output) + channel;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) store<kFloats>(output + call.rows[row + r] * call.channels, sums[r]);
}

template <int kFloats, typename Stored>
void convolve(const ConvolvedRows& call) {
  constexpr int kRows = 8;
  if constexpr (kFloats > 1)
    if (call.channels < kFloats) return convolve<kFloats / 2, Stored>(call);
  int64_t row = 0;
  for (; row + kRows <= call.count; row += kRows)
    each_vector<kFloats>(call.channels, [&](int64_t at) __attribute__((always_inline)) {
      convolve_block<kFloats, kRows, Stored>(call, row, at);
    });
  for (; row < call.count; ++row)
    each_vector<kFloats>(call.channels, [&](int64_t at) __attribute__((always_inline)) {
      convolve_block<kFloats, 1, Stored>(call, row, at);
    });
}

template <int kFloats>
constexpr SequenceLoops loops() {
  return {{gate<kFloats, float>, gate<kFloats, Half>}, {convolve<kFloats, float>, convolve<kFloats, Half>}};
}

}  // namespace

#if defined(__AVX512F__)
const SequenceLoops sequence_loops = loops<16>();
#elif defined(__AVX2__)
const SequenceLoops sequence_loops = loops<8>();
#else
const SequenceLoops sequence_loops = loops<4>();
#endif

}  // namespace pk::PK_SET
