// The rows of a group, head by head.
#pragma once

#include "attention/inner_loops.hpp"
#include "common/half_vectors.hpp"

namespace pk::PK_SET {

// Whole rows are read one after another, all heads of each: memory is slow where parts of rows are picked.
template <typename Stored, int kFloats>
void read_heads(const HeadRows& call) {
  for (int64_t i = 0; i < call.count; ++i) {
    const Stored* row = static_cast<const Stored*>(call.features) + call.rows[i] * call.stride;
    float* to = call.output + i * call.padded;
    for (int64_t head = 0; head < call.heads; ++head, row += call.channels, to += call.head_step) {
      int64_t c = 0;
      for (; c + kFloats <= call.channels; c += kFloats) store<kFloats>(to + c, load<kFloats>(row + c) * call.scale);
      for (; c < call.channels; ++c) store<1>(to + c, load<1>(row + c) * call.scale);
      for (; c < call.padded; ++c) to[c] = 0.0F;
    }
  }
}

}  // namespace pk::PK_SET
