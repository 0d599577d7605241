// How features are stored: the check of a pk_dtype, and the type that it names.
#pragma once

#include "common/call.hpp"
#include "common/half.hpp"

namespace pk {

inline void require_dtype(int32_t dtype) {
  require(dtype == PK_FLOAT32 || dtype == PK_FLOAT16, "the dtype must be 0 (float32) or 1 (float16)");
}

// Call body with a value of the type that `dtype`, a pk_dtype, names: float or Half.
template <typename Body>
void with_stored(int32_t dtype, const Body& body) {
  require_dtype(dtype);
  if (dtype == PK_FLOAT32)
    body(float{});
  else
    body(Half{});
}

}  // namespace pk
