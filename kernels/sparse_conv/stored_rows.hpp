// Between rows of floats, in which sums are kept, and rows as they are stored: float32 or float16.
#pragma once

#include "common/half_vectors.hpp"

namespace pk::PK_SET {

template <int kFloats, typename Stored>
inline void finish_channels(const PanelResult& call, int64_t row, int64_t channel) {
  const int64_t at = row * call.stride + channel;
  Vector<kFloats> value = load<kFloats>(call.sums + row * call.width + channel);
  if (call.bias != nullptr) value += load<kFloats>(call.bias + channel);
  if (call.residual != nullptr) value += load<kFloats>(static_cast<const Stored*>(call.residual) + at);
  if (call.relu) value = value < 0.0F ? Vector<kFloats>{} : value;  // NaN stays
  store<kFloats>(static_cast<Stored*>(call.output) + at, value);
}

template <int kFloats, typename Stored>
inline void finish_row(const PanelResult& call, int64_t row, int64_t channel) {
  for (; channel + kFloats <= call.used; channel += kFloats) finish_channels<kFloats, Stored>(call, row, channel);
  if constexpr (kFloats > 1) finish_row<kFloats / 2, Stored>(call, row, channel);
}

template <int kFloats, typename Stored>
void finish(const PanelResult& call) {
  for (int64_t row = 0; row < call.rows; ++row) finish_row<kFloats, Stored>(call, row, 0);
}

template <int kFloats, typename Stored>
inline void gather_row(const Stored* from, float* to, int64_t channels) {
  int64_t channel = 0;
  for (; channel + kFloats <= channels; channel += kFloats) store<kFloats>(to + channel, load<kFloats>(from + channel));
  if constexpr (kFloats > 1)
    if (channel < channels) gather_row<kFloats / 2>(from + channel, to + channel, channels - channel);
}

template <int kFloats, typename Stored>
void gather(const GatheredRows& call) {
  float* to = call.floats;
  for (int64_t i = 0; i < call.count; ++i, to += call.width) {
    const int64_t row = call.rows != nullptr ? call.rows[i] : i;
    gather_row<kFloats>(static_cast<const Stored*>(call.from) + row * call.stride, to, call.channels);
    for (int64_t channel = call.channels; channel < call.width; ++channel) to[channel] = 0.0F;
  }
}

}  // namespace pk::PK_SET
