// The inputs that an output voxel reads, axis by axis; for the CPU and for GPUs.
#pragma once

#include <cstdint>

#include "common/call.hpp"
#include "hash/key.hpp"

namespace pk {

constexpr const char* kOutputOutOfRange = "an output voxel lies outside coordinates -65504..65503; give bounds";

[[noreturn]] inline void throw_too_many_outputs(int64_t capacity) {
  throw Failure(PK_INVALID_ARGUMENT, "there are more than " + std::to_string(capacity) + " output voxels");
}

constexpr int32_t volume_of(const int32_t* size) { return size[0] * size[1] * size[2]; }

// The outputs that read an input: by the weights first_weight, first_weight + stride, ... below size.
constexpr int32_t first_weight(const pk_window& window, int axis, int32_t input) {
  const int32_t padded = input + window.padding[axis];
  return padded - floor_divide(padded, window.stride[axis]) * window.stride[axis];
}

constexpr int32_t output_of(const pk_window& window, int axis, int32_t input, int32_t weight) {
  return floor_divide(input + window.padding[axis] - weight, window.stride[axis]);
}

// How many outputs at most read one input along an axis.
constexpr int32_t most_outputs(const pk_window& window, int axis) {
  return (window.size[axis] + window.stride[axis] - 1) / window.stride[axis];
}

constexpr bool within(const int32_t* bounds, const int32_t* voxel) {
  for (int axis = 0; axis < 3; ++axis)
    if (voxel[axis + 1] < bounds[axis] || voxel[axis + 1] > bounds[axis + 3]) return false;
  return true;
}

}  // namespace pk
