// A row of a heat map: its local maxima, their scores, and the best of them.
#pragma once

#include <cstdint>
#include <cstring>

#include "boxes/loops.hpp"
#include "common/vectors.hpp"

namespace pk::PK_SET {

static inline float larger_number(float a, float b) { return a > b ? a : b; }

// What is not a number is no peak, and hides none.
static inline float number(float value) { return value > boxes::kNoPeak ? value : boxes::kNoPeak; }

static void local_maxima(const float* above, const float* row, const float* below, int64_t width, float* padded,
                         float* peaks) {
  padded[0] = padded[width + 1] = boxes::kNoPeak;
  for (int64_t x = 0; x < width; ++x)
    padded[x + 1] = larger_number(number(row[x]), larger_number(number(above[x]), number(below[x])));
  for (int64_t x = 0; x < width; ++x) {
    const float largest = larger_number(padded[x], larger_number(padded[x + 1], padded[x + 2]));
    peaks[x] = row[x] == largest ? row[x] : boxes::kNoPeak;
  }
}

// 1 / (1 + exp(-x)) to 2e-7, in operations that compilers turn into vectors.
static inline float sigmoid(float x) {
  const float negated = x > 87.0F ? -87.0F : (x < -87.0F ? 87.0F : -x);
  // Adding 1.5 * 2^23 rounds to an integer, which then stands in the last bits.
  const float shifted = negated * 1.44269504F + 12582912.0F;
  const float power = shifted - 12582912.0F;
  const float rest = (negated - power * 0.693359375F) + power * 2.12194440e-4F;
  float series = 1.0F / 720.0F;
  series = series * rest + 1.0F / 120.0F;
  series = series * rest + 1.0F / 24.0F;
  series = series * rest + 1.0F / 6.0F;
  series = series * rest + 0.5F;
  series = series * rest + 1.0F;
  series = series * rest + 1.0F;
  uint32_t bits = 0;
  std::memcpy(&bits, &shifted, sizeof(bits));
  const uint32_t exponent = (bits + 127U) << 23;
  float scale = 0.0F;
  std::memcpy(&scale, &exponent, sizeof(scale));
  return 1.0F / (1.0F + series * scale);
}

static void weigh(const float* quality, int32_t power, bool is_logit, int64_t width, float* peaks) {
  if (is_logit)
    for (int64_t x = 0; x < width; ++x) peaks[x] = peaks[x] > boxes::kNoPeak ? sigmoid(peaks[x]) : boxes::kNoPeak;
  for (int32_t factor = 0; factor < power; ++factor) {
    for (int64_t x = 0; x < width; ++x) {
      const float good = quality[x] > 0.0F ? (quality[x] < 1.0F ? quality[x] : 1.0F) : 0.0F;
      peaks[x] = peaks[x] > boxes::kNoPeak ? peaks[x] * good : boxes::kNoPeak;
    }
  }
}

template <int kFloats>
static int64_t find_above(const float* values, float limit, int64_t count, int32_t* found) {
  constexpr int64_t kStep = 4 * kFloats;
  int64_t n_found = 0;
  for (int64_t begin = 0; begin < count; begin += kStep) {
    const int64_t end = begin + kStep < count ? begin + kStep : count;
    int any = 0;
    for (int64_t i = begin; i < end; ++i) any |= static_cast<int>(values[i] > limit);
    if (any == 0) continue;
    for (int64_t i = begin; i < end; ++i)
      if (values[i] > limit) found[n_found++] = static_cast<int32_t>(i);
  }
  return n_found;
}

}  // namespace pk::PK_SET
