// Numbers for distinct voxels in order of first occurrence, on the CPU.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "hash/key.hpp"

namespace pk {

// Keeps the voxels in the caller's array and only their numbers in a hash of its own, which is small for that reason
// and grows with the voxels found.
class VoxelNumbers {
 public:
  // voxels: [as many as will be found, 4]. No more than `expected` are the fastest.
  VoxelNumbers(int32_t* voxels, int64_t expected) : voxels_(voxels) {
    std::size_t capacity = 16;
    while (static_cast<int64_t>(capacity) < 2 * expected) capacity *= 2;
    resize(capacity);
  }

  int32_t count() const { return count_; }
  // Where the next new voxel will lie; a candidate may be written there before it is looked up.
  int32_t* next() const { return voxels_ + 4 * static_cast<int64_t>(count_); }

  // The number of a voxel within range: that of its first occurrence, or -1 for a new one.
  int32_t find(const int32_t* voxel) { return slots_[slot_of(voxel)]; }

  // The number of a voxel within range, which becomes count() - 1 where it is new.
  int32_t find_or_add(const int32_t* voxel) {
    int32_t& slot = slots_[slot_of(voxel)];
    if (slot >= 0) return slot;
    slot = count_;
    if (voxel != next()) std::copy_n(voxel, 4, next());
    ++count_;
    if (2 * static_cast<std::size_t>(count_) > slots_.size()) resize(2 * slots_.size());
    return count_ - 1;
  }

 private:
  std::size_t slot_of(const int32_t* voxel) const {
    const uint64_t key = pack(voxel[0], voxel[1], voxel[2], voxel[3]);
    auto slot = static_cast<std::size_t>((key * 0x9E3779B97F4A7C15u) >> shift_);
    while (slots_[slot] >= 0 && std::memcmp(voxels_ + 4 * static_cast<int64_t>(slots_[slot]), voxel, 16) != 0)
      slot = (slot + 1) & (slots_.size() - 1);
    return slot;
  }

  void resize(std::size_t capacity) {
    slots_.assign(capacity, -1);
    for (shift_ = 64; capacity > 1; capacity /= 2) --shift_;
    for (int32_t number = 0; number < count_; ++number)
      slots_[slot_of(voxels_ + 4 * static_cast<int64_t>(number))] = number;
  }

  int32_t* voxels_;
  std::vector<int32_t> slots_;  // open addressing in a power of two; -1 where free
  int shift_ = 64;
  int32_t count_ = 0;
};

}  // namespace pk
