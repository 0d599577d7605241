#pragma once

#include "common/gpu.hpp"

namespace pk::cuda {

void group_attention(const Gpu& gpu, const pk_attention& call);

}  // namespace pk::cuda
