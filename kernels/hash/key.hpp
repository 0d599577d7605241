// Packed 64-bit keys of voxels: 12 bits of batch, then 17 bits for each of x, y, z.
#pragma once

#include <cstdint>

namespace pk {

// Coordinates keep 32 steps away from the ends of their field, so that adding the offset of a neighbour to a key never
// carries into the next field: neighbours of valid voxels are found by one addition, and exactly.
constexpr int kFieldBits = 17;
constexpr int32_t kFieldBias = 1 << (kFieldBits - 1);
constexpr int32_t kGuard = 32;
constexpr int32_t kMinCoordinate = -kFieldBias + kGuard;
constexpr int32_t kMaxCoordinate = kFieldBias - 1 - kGuard;
constexpr int32_t kMaxBatch = (1 << 12) - 1;
constexpr uint64_t kEmptyKey = ~uint64_t{0};  // batch ends at bit 62, so that no voxel has this key

constexpr bool in_range(int32_t value) { return value >= kMinCoordinate && value <= kMaxCoordinate; }

constexpr bool in_range(int32_t batch, int32_t x, int32_t y, int32_t z) {
  return batch >= 0 && batch <= kMaxBatch && in_range(x) && in_range(y) && in_range(z);
}

constexpr uint64_t pack(int32_t batch, int32_t x, int32_t y, int32_t z) {
  return (static_cast<uint64_t>(batch) << (3 * kFieldBits)) |
         (static_cast<uint64_t>(x + kFieldBias) << (2 * kFieldBits)) |
         (static_cast<uint64_t>(y + kFieldBias) << kFieldBits) | static_cast<uint64_t>(z + kFieldBias);
}

// What to add to a key to reach the voxel (dx, dy, dz) further on; each within the guard.
constexpr uint64_t key_step(int32_t dx, int32_t dy, int32_t dz) {
  constexpr uint64_t one = 1;
  return static_cast<uint64_t>(static_cast<int64_t>(dx)) * (one << (2 * kFieldBits)) +
         static_cast<uint64_t>(static_cast<int64_t>(dy)) * (one << kFieldBits) +
         static_cast<uint64_t>(static_cast<int64_t>(dz));
}

constexpr int32_t floor_divide(int32_t value, int32_t by) { return value >= 0 ? value / by : -1 - (-1 - value) / by; }

}  // namespace pk
