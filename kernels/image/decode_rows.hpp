// Rows of an image on the CPU.
#pragma once

#include <cstdint>

#include "perception_kernels.h"

namespace pk {

// Decode columns begin..end - 1 of row y to words R, G, B; pixel x goes to target[x * stride].
void decode_row(const pk_image_call& call, int32_t y, int32_t begin, int32_t end, uint32_t* target, int64_t stride);

// Bytes that a row has at least.
int64_t row_bytes(const pk_image_call& call);

}  // namespace pk
