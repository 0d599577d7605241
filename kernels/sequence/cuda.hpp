#pragma once

#include <vector>

#include "common/gpu.hpp"
#include "perception_kernels/sequence.h"

namespace pk::cuda {

// One of the sequences of a call: its first position and its tokens.
struct Stretch {
  int64_t position;
  int64_t tokens;
};

void sequence_convolution(const Gpu& gpu, const pk_sequence& call, const std::vector<Stretch>& stretches);

}  // namespace pk::cuda
