// Elementary functions of vectors of floats, for simd.cpp files. The coefficients are least-maximum fits of this
// project.
#pragma once

#include "common/vectors.hpp"

namespace pk::PK_SET {

template <int kFloats>
struct IntVectorOf {
  typedef int32_t type __attribute__((vector_size(kFloats * sizeof(int32_t)), aligned(alignof(int32_t)), may_alias));
};

template <int kFloats>
using IntVector = typename IntVectorOf<kFloats>::type;

template <int kFloats>
inline Vector<kFloats> larger(Vector<kFloats> a, Vector<kFloats> b) {
  return a < b ? b : a;  // a, where it is not a number
}

// 2^x within 2.1 units in the last place, for x <= 127; what lies below -125 counts as -125. NaN stays NaN.
template <int kFloats>
inline Vector<kFloats> exp2(Vector<kFloats> x) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it leaves the nearest integer in the lowest bits
  x = x < Vector<kFloats>{} - 125.0F ? Vector<kFloats>{} - 125.0F : x;
  const Vector<kFloats> shifted = x + kRound;
  const Vector<kFloats> rest = x - (shifted - kRound);
  Vector<kFloats> power = rest * 0.00132647273F + 0.00967151299F;
  power = power * rest + 0.0555073358F;
  power = power * rest + 0.240222424F;
  power = power * rest + 0.693147004F;
  power = power * rest + 1.0F;
  const IntVector<kFloats> scaled =
      reinterpret_cast<IntVector<kFloats>>(power) + (reinterpret_cast<IntVector<kFloats>>(shifted) << 23);
  return reinterpret_cast<Vector<kFloats>>(scaled);
}

// The error function within 4e-7.
template <int kFloats>
inline Vector<kFloats> erf(Vector<kFloats> x) {
  constexpr float kOne = 3.92F;  // from here on it rounds to 1
  x = x > Vector<kFloats>{} + kOne ? Vector<kFloats>{} + kOne : x;
  x = x < Vector<kFloats>{} - kOne ? Vector<kFloats>{} - kOne : x;
  const Vector<kFloats> square = x * x;
  Vector<kFloats> above = square * 2.05014203e-06F + 0.000284875801F;
  above = above * square + 0.00376531226F;
  above = above * square + 0.0527477898F;
  above = above * square + 0.190399379F;
  above = above * square + 1.12837911F;
  Vector<kFloats> below = square * 3.80919191e-05F + 0.00116246135F;
  below = below * square + 0.0149686094F;
  below = below * square + 0.114106186F;
  below = below * square + 0.502069771F;
  below = below * square + 1.0F;
  return x * above / below;
}

}  // namespace pk::PK_SET
