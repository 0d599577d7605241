// What follows the product of a dense layer: bias, residual, activation, layer normalisation.
#pragma once

#include "common/elementary.hpp"
#include "common/half_vectors.hpp"
#include "feed_forward/inner_loops.hpp"

namespace pk::PK_SET {

template <int kFloats>
inline Vector<kFloats> activate(Vector<kFloats> x, int activation) {
  constexpr float kSqrtHalf = 0.707106781F;
  if (activation == PK_RELU) return x < Vector<kFloats>{} ? Vector<kFloats>{} : x;
  if (activation == PK_GELU) return 0.5F * x * (1.0F + erf<kFloats>(x * kSqrtHalf));
  return x;
}

// Call body.operator()<floats>(channel) for all channels, most of them kFloats at a time.
template <int kFloats, typename Body>
inline void each_channel(int64_t channel, int64_t channels, const Body& body) {
  for (; channel + kFloats <= channels; channel += kFloats) body.template operator()<kFloats>(channel);
  if constexpr (kFloats > 1) each_channel<kFloats / 2>(channel, channels, body);
}

template <typename Stored, typename Output>
struct AddAndActivate {
  const float* sums;
  const float* bias;
  const Stored* residual;
  int activation;
  Output* output;
  template <int kFloats>
  inline void operator()(int64_t channel) const {
    Vector<kFloats> x = load<kFloats>(sums + channel);
    if (bias != nullptr) x += load<kFloats>(bias + channel);
    if (residual != nullptr) x += load<kFloats>(residual + channel);
    store<kFloats>(output + channel, activate<kFloats>(x, activation));
  }
};

template <int kFloats>
inline float sum_of_lanes(Vector<kFloats> value) {
  float sum = 0.0F;
  for (int i = 0; i < kFloats; ++i) sum += value[i];
  return sum;
}

// The sum of x - shift, or of its square, over a row.
template <int kFloats, bool kSquared>
inline float sum_of_row(const float* x, int64_t channels, float shift) {
  Vector<kFloats> sums = {};
  int64_t channel = 0;
  for (; channel + kFloats <= channels; channel += kFloats) {
    const Vector<kFloats> part = load<kFloats>(x + channel) - shift;
    sums += kSquared ? part * part : part;
  }
  float sum = sum_of_lanes<kFloats>(sums);
  for (; channel < channels; ++channel)
    sum += kSquared ? (x[channel] - shift) * (x[channel] - shift) : x[channel] - shift;
  return sum;
}

template <typename Stored>
struct ScaleAndShift {
  const DenseRows& call;
  const float* sums;
  float mean;
  float scale;
  Stored* output;
  template <int kFloats>
  inline void operator()(int64_t channel) const {
    const Vector<kFloats> x = (load<kFloats>(sums + channel) - mean) * scale;
    store<kFloats>(output + channel,
                   x * load<kFloats>(call.norm_weight + channel) + load<kFloats>(call.norm_bias + channel));
  }
};

template <int kFloats, typename Stored>
inline void normalise_row(const DenseRows& call, const float* sums, Stored* output) {
  const auto channels = static_cast<float>(call.channels);
  const float mean = sum_of_row<kFloats, false>(sums, call.channels, 0.0F) / channels;
  const float variance = sum_of_row<kFloats, true>(sums, call.channels, mean) / channels;
  const float scale = 1.0F / __builtin_sqrtf(variance + call.norm_epsilon);
  each_channel<kFloats>(0, call.channels, ScaleAndShift<Stored>{call, sums, mean, scale, output});
}

template <int kFloats, typename Stored>
void finish_rows(const DenseRows& call) {
  auto* output = static_cast<Stored*>(call.output);
  float* sums = call.sums;
  for (int64_t row = 0; row < call.rows; ++row, sums += call.sums_step, output += call.channels) {
    const int64_t other = call.residual_rows != nullptr ? call.residual_rows[row] : row;
    const Stored* residual = nullptr;
    if (call.residual != nullptr && other >= 0)
      residual = static_cast<const Stored*>(call.residual) + other * call.channels;
    if (call.norm_weight == nullptr) {
      each_channel<kFloats>(0, call.channels,
                            AddAndActivate<Stored, Stored>{sums, call.bias, residual, call.activation, output});
      continue;
    }
    each_channel<kFloats>(0, call.channels,
                          AddAndActivate<Stored, float>{sums, call.bias, residual, call.activation, sums});
    normalise_row<kFloats>(call, sums, output);
  }
}

}  // namespace pk::PK_SET
