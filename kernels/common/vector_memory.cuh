// Reading and writing up to 16 bytes of memory as one access, whatever is stored there.
#pragma once

#include "common/cuda.cuh"

namespace pk::cuda {

// Elements that move together; as many bytes as a power of two up to 16.
template <typename Element, int kCount>
struct alignas(sizeof(Element) * kCount) Few {
  Element at[kCount];
};

#if defined(PK_EMULATION)
// A host compiler must not conclude that a Vector cannot lie where elements of another type do.
template <typename Vector>
struct __attribute__((may_alias)) Access {
  Vector value;
};
#endif

// The address must be a multiple of the vector's size.
template <typename Vector>
__device__ inline Vector load_vector(const void* from) {
#if defined(PK_EMULATION)
  return static_cast<const Access<Vector>*>(from)->value;
#else
  return *static_cast<const Vector*>(from);
#endif
}

template <typename Vector>
__device__ inline void store_vector(void* to, const Vector& value) {
#if defined(PK_EMULATION)
  static_cast<Access<Vector>*>(to)->value = value;
#else
  *static_cast<Vector*>(to) = value;
#endif
}

}  // namespace pk::cuda
