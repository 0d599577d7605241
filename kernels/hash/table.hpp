// Open addressing with linear probing over keys of voxels.
#pragma once

#include <cstdint>
#include <vector>

#include "common/call.hpp"
#include "hash/key.hpp"

namespace pk {

class HashView {
 public:
  explicit HashView(const pk_hash& hash)
      : keys_(hash.keys), values_(hash.values), mask_(static_cast<uint64_t>(hash.capacity) - 1) {
    for (int64_t slots = hash.capacity; slots > 1; slots /= 2) --shift_;
  }

  int32_t find(uint64_t key) const {
    for (uint64_t slot = home(key);; slot = (slot + 1) & mask_) {
      if (keys_[slot] == key) return values_[slot];
      if (keys_[slot] == kEmptyKey) return -1;
    }
  }

  // The value stored for the key, after storing `value` if there was none.
  int32_t find_or_insert(uint64_t key, int32_t value) {
    for (uint64_t slot = home(key);; slot = (slot + 1) & mask_) {
      if (keys_[slot] == key) return values_[slot];
      if (keys_[slot] != kEmptyKey) continue;
      keys_[slot] = key;
      return values_[slot] = value;
    }
  }

 private:
  uint64_t home(uint64_t key) const { return (key * 0x9E3779B97F4A7C15u) >> shift_; }

  uint64_t* keys_;
  int32_t* values_;
  uint64_t mask_;
  int shift_ = 64;
};

// A hash that lives for one call.
class OwnedHash {
 public:
  explicit OwnedHash(int64_t rows)
      : keys_(static_cast<size_t>(pk_hash_capacity(rows)), kEmptyKey), values_(keys_.size()) {}
  HashView view() { return HashView({keys_.data(), values_.data(), static_cast<int64_t>(keys_.size())}); }

 private:
  std::vector<uint64_t> keys_;
  std::vector<int32_t> values_;
};

// The sentences about a row's voxel: batch, x, y, z.
[[noreturn]] void throw_out_of_range(const int32_t* voxel, int64_t row);
[[noreturn]] void throw_same_voxel(int64_t earlier, int64_t row);

// The key of a row of coords, or a failure that names the row.
uint64_t checked_key(const int32_t* coords, int64_t row);

void require_hash(const pk_hash* hash);

}  // namespace pk
