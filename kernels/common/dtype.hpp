// How features are stored, as a type.
#pragma once

#include "common/call.hpp"
#include "common/half.hpp"

namespace pk {

// Call body with a value of the type that `dtype`, a pk_dtype, names: float or Half.
template <typename Body>
void with_stored(int32_t dtype, const Body& body) {
  if (dtype == PK_FLOAT32)
    body(float{});
  else if (dtype == PK_FLOAT16)
    body(Half{});
  else
    throw Failure(PK_INVALID_ARGUMENT, "the dtype must be 0 (float32) or 1 (float16)");
}

}  // namespace pk
