// What follows the product of a dense layer, on one row: bias, residual, activation, layer normalisation.
#pragma once

#include "common/elementary.hpp"
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
inline void each_channel(int64_t channels, const Body& body) {
  int64_t channel = 0;
  for (; channel + kFloats <= channels; channel += kFloats) body.template operator()<kFloats>(channel);
  for (; channel < channels; ++channel) body.template operator()<1>(channel);
}

struct AddAndActivate {
  const DenseRow& row;
  float* sums;
  template <int kFloats>
  inline void operator()(int64_t channel) const {
    Vector<kFloats> x = load<kFloats>(sums + channel);
    if (row.bias != nullptr) x += load<kFloats>(row.bias + channel);
    if (row.residual != nullptr) x += load<kFloats>(row.residual + channel);
    store<kFloats>(sums + channel, activate<kFloats>(x, row.activation));
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

struct ScaleAndShift {
  const DenseRow& row;
  float* sums;
  float mean;
  float scale;
  template <int kFloats>
  inline void operator()(int64_t channel) const {
    const Vector<kFloats> x = (load<kFloats>(sums + channel) - mean) * scale;
    store<kFloats>(sums + channel,
                   x * load<kFloats>(row.norm_weight + channel) + load<kFloats>(row.norm_bias + channel));
  }
};

template <int kFloats>
void finish_row(const DenseRow& row, float* sums) {
  each_channel<kFloats>(row.channels, AddAndActivate{row, sums});
  if (row.norm_weight == nullptr) return;
  const auto channels = static_cast<float>(row.channels);
  const float mean = sum_of_row<kFloats, false>(sums, row.channels, 0.0F) / channels;
  const float variance = sum_of_row<kFloats, true>(sums, row.channels, mean) / channels;
  const float scale = 1.0F / __builtin_sqrtf(variance + row.norm_epsilon);
  each_channel<kFloats>(row.channels, ScaleAndShift{row, sums, mean, scale});
}

}  // namespace pk::PK_SET
