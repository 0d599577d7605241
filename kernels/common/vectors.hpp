// Vectors of floats of any width, in the compilers' portable notation (GCC and Clang, x86 and Arm).
#pragma once

#include <cstdint>

namespace pk::PK_SET {

template <int kFloats>
struct VectorOf {
  // Loads and stores go through this type: any alignment, and it may alias float.
  typedef float type __attribute__((vector_size(kFloats * sizeof(float)), aligned(alignof(float)), may_alias));
};

template <int kFloats>
using Vector = typename VectorOf<kFloats>::type;

template <int kFloats>
inline Vector<kFloats> load(const float* from) {
  return *reinterpret_cast<const Vector<kFloats>*>(from);
}

template <int kFloats>
inline void store(float* to, Vector<kFloats> value) {
  *reinterpret_cast<Vector<kFloats>*>(to) = value;
}

}  // namespace pk::PK_SET
