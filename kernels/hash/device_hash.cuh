// The hash of voxels on a GPU, in the memory layout of pk_hash: filled by many threads at once, the same on every run.
#pragma once

#include "common/cuda.cuh"
#include "hash/key.hpp"
#include "perception_kernels.h"

namespace pk::cuda {

// A key's value is the smallest that any thread offered, whatever the order of the threads.
struct DeviceHash {
  unsigned long long* keys;
  unsigned* values;
  uint64_t capacity;  // a power of two
  int shift;

  // More steps than any chain has where at most half of the slots are used.
  static constexpr uint64_t kMostSteps = 4096;
  static constexpr int64_t kNoSlot = -1;

  __device__ uint64_t home(uint64_t key) const { return (key * 0x9E3779B97F4A7C15u) >> shift; }
  __device__ uint64_t most_steps() const { return capacity < kMostSteps ? capacity : kMostSteps; }

  // The slot that now holds the key, or kNoSlot where the hash is full.
  __device__ int64_t offer(uint64_t key, int32_t value) const {
    uint64_t slot = home(key);
    for (uint64_t step = 0; step < most_steps(); ++step, slot = (slot + 1) & (capacity - 1)) {
      const unsigned long long before = atomicCAS(keys + slot, kEmpty, static_cast<unsigned long long>(key));
      if (before != kEmpty && before != key) continue;
      atomicMin(values + slot, static_cast<unsigned>(value));
      return static_cast<int64_t>(slot);
    }
    return kNoSlot;
  }

  // The value of the key, -1 for none.
  __device__ int32_t find(uint64_t key) const {
    uint64_t slot = home(key);
    for (uint64_t step = 0; step < most_steps(); ++step, slot = (slot + 1) & (capacity - 1)) {
      const unsigned long long held = keys[slot];
      if (held == key) return static_cast<int32_t>(values[slot]);
      if (held == kEmpty) return -1;
    }
    return -1;
  }

  static constexpr unsigned long long kEmpty = kEmptyKey;
};

inline DeviceHash device_hash(const pk_hash& hash) {
  int shift = 64;
  for (int64_t slots = hash.capacity; slots > 1; slots /= 2) --shift;
  return {reinterpret_cast<unsigned long long*>(hash.keys), reinterpret_cast<unsigned*>(hash.values),
          static_cast<uint64_t>(hash.capacity), shift};
}

// Make a hash empty; values start above every row.
inline void clear(const Gpu& gpu, const pk_hash& hash) {
  fill_bytes(gpu, hash.keys, 0xFF, hash.capacity * static_cast<int64_t>(sizeof(*hash.keys)));
  fill_bytes(gpu, hash.values, 0xFF, hash.capacity * static_cast<int64_t>(sizeof(*hash.values)));
}

// An empty hash for one call.
class ScratchHash {
 public:
  ScratchHash(const Gpu& gpu, int64_t rows)
      : capacity_(pk_hash_capacity(rows)), keys_(gpu, capacity_), values_(gpu, capacity_) {
    clear(gpu, {keys_.data(), values_.data(), capacity_});
  }
  DeviceHash view() const { return device_hash({keys_.data(), values_.data(), capacity_}); }

 private:
  int64_t capacity_;
  Scratch<uint64_t> keys_;
  Scratch<int32_t> values_;
};

__device__ inline bool in_range(const int32_t* voxel) { return pk::in_range(voxel[0], voxel[1], voxel[2], voxel[3]); }

__device__ inline uint64_t key_of(const int32_t* voxel) { return pack(voxel[0], voxel[1], voxel[2], voxel[3]); }

// Offer every row of coords to the hash; rows out of range are left out (hash/cuda.cu).
void offer_rows(const Gpu& gpu, const int32_t* coords, int64_t n, const DeviceHash& hash);

// Fail with the sentence that names a row of coords (hash/cuda.cu).
[[noreturn]] void throw_row_out_of_range(const Gpu& gpu, const int32_t* coords, int64_t row);

}  // namespace pk::cuda
