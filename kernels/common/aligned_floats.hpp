// Room to work in for inner loops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pk {

// Floats that start at a cache line: vectors that cross lines cost twice.
class AlignedFloats {
 public:
  explicit AlignedFloats(int64_t count) : data_(static_cast<size_t>(count) + kAlignment) {}
  float* data() { return data_.data() + padding(); }
  const float* data() const { return data_.data() + padding(); }

 private:
  size_t padding() const {
    const auto address = reinterpret_cast<uintptr_t>(data_.data()) / sizeof(float);
    return (kAlignment - address % kAlignment) % kAlignment;
  }
  static constexpr size_t kAlignment = 16;  // floats of a cache line
  std::vector<float> data_;
};

}  // namespace pk
