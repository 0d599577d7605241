// Which token of a batch element a slot of its groups holds, for CPU and CUDA code alike.
#pragma once

#include "common/half.hpp"  // PK_HOST_DEVICE

namespace pk {

// slot and the result count from the element's first ones; tokens is at least 1.
inline PK_HOST_DEVICE int64_t token_of_slot(int64_t slot, int64_t tokens, int64_t group_size) {
  if (slot < tokens) return slot;
  return tokens >= group_size ? slot - group_size : slot % tokens;
}

}  // namespace pk
