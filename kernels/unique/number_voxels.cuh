// Numbers for distinct voxels in order of first occurrence, on a GPU.
#pragma once

#include "common/scan.cuh"
#include "hash/device_hash.cuh"

namespace pk::cuda {

// What a candidate is: nothing, a voxel, or one that no key can hold.
enum class Candidate { kNone, kVoxel, kInputOutOfRange, kOutputOutOfRange };

// What a numbering found.
struct Numbering {
  static constexpr unsigned kNo = ~0U;
  unsigned first_bad_input;   // candidate, kNo for none
  unsigned first_bad_output;  // candidate, kNo for none
  unsigned overflow;          // kNo, or 0 where there are more voxels than the capacity
  int32_t count;
};

// Where the voxels go; first and inverse may be null.
struct NumberedVoxels {
  int32_t* coords;   // [capacity, 4]
  int32_t* first;    // [capacity], the first candidate of each voxel
  int32_t* inverse;  // [candidates], the voxel of each candidate, -1 for none
  int64_t capacity;
};

// slots[i]: that of candidate i in the hash, negative for none.
template <typename Make>
__global__ void offer_candidates(Make make, int64_t n, DeviceHash hash, int64_t* slots, Numbering* found) {
  const int64_t i = global_index();
  if (i >= n) return;
  int32_t voxel[4];
  const Candidate kind = make(i, voxel);
  slots[i] = kind == Candidate::kVoxel ? hash.offer(key_of(voxel), static_cast<int32_t>(i)) : DeviceHash::kNoSlot;
  if (kind == Candidate::kVoxel && slots[i] < 0) atomicMin(&found->overflow, 0U);
  if (kind == Candidate::kInputOutOfRange) atomicMin(&found->first_bad_input, static_cast<unsigned>(i));
  if (kind == Candidate::kOutputOutOfRange) atomicMin(&found->first_bad_output, static_cast<unsigned>(i));
}

// Defined once for all users (unique/cuda.cu): flags[i] = whether candidate i is the first of its voxel.
void flag_first(const Gpu& gpu, const DeviceHash& hash, const int64_t* slots, int64_t n, int32_t* flags);

template <typename Make>
__global__ void write_voxels(Make make, int64_t n, DeviceHash hash, const int64_t* slots, const int32_t* numbers,
                             NumberedVoxels voxels, Numbering* found) {
  const int64_t i = global_index();
  if (i >= n) return;
  const int64_t first = slots[i] < 0 ? -1 : static_cast<int64_t>(hash.values[slots[i]]);
  const int32_t number = first < 0 ? -1 : numbers[first];
  if (voxels.inverse != nullptr) voxels.inverse[i] = number;
  if (i == n - 1) {
    found->count = numbers[n];
    if (numbers[n] > voxels.capacity) found->overflow = 0;
  }
  if (first != i || number >= voxels.capacity) return;
  int32_t voxel[4];
  make(i, voxel);
  for (int axis = 0; axis < 4; ++axis) voxels.coords[4 * static_cast<int64_t>(number) + axis] = voxel[axis];
  if (voxels.first != nullptr) voxels.first[number] = static_cast<int32_t>(i);
}

// Number the distinct voxels among n candidates; waits for the stream. `make(i, voxel)`, on the GPU, writes candidate i
// (batch, x, y, z) and says what it is.
template <typename Make>
Numbering number_voxels(const Gpu& gpu, const Make& make, int64_t n, const NumberedVoxels& voxels) {
  Numbering found{Numbering::kNo, Numbering::kNo, Numbering::kNo, 0};
  if (n == 0) return found;
  constexpr int threads = 256;
  const int64_t most = voxels.capacity < n ? voxels.capacity : n;
  const ScratchHash hash(gpu, most);
  const Scratch<int64_t> slots(gpu, n);
  const Scratch<int32_t> flags(gpu, n), numbers(gpu, n + 1);
  const Scratch<Numbering> device_found(gpu, 1);
  fill_bytes(gpu, device_found.data(), 0xFF, sizeof(Numbering));
  launch(gpu, {{"candidates", n}}, offer_candidates<Make>, blocks(n, threads), threads, 0, make, n, hash.view(),
         slots.data(), device_found.data());
  flag_first(gpu, hash.view(), slots.data(), n, flags.data());
  exclusive_scan(gpu, flags.data(), numbers.data(), n);
  launch(gpu, {{"candidates", n}}, write_voxels<Make>, blocks(n, threads), threads, 0, make, n, hash.view(),
         slots.data(), numbers.data(), voxels, device_found.data());
  copy_to_host(gpu, &found, device_found.data(), sizeof(found));
  return found;
}

}  // namespace pk::cuda
