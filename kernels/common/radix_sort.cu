// A digit at a time from the lowest: count the digits of each tile, scan the counts digit by digit, place each key.
#include "common/radix_sort.cuh"
#include "common/scan.cuh"

namespace pk::cuda {
namespace {

constexpr int kDigitBits = 4;
constexpr int kDigits = 1 << kDigitBits;
constexpr int kThreads = 128;
constexpr int kEach = 8;
constexpr int kTile = kThreads * kEach;

struct Pass {
  const uint64_t* keys;
  const int32_t* values;
  uint64_t* sorted_keys;
  int32_t* sorted_values;
  int64_t n;
  int shift;
  unsigned tiles;
};

__device__ int digit_of(uint64_t key, int shift) { return static_cast<int>((key >> shift) & (kDigits - 1)); }

// counts [digit][tile], so that their scan gives where each tile's keys of a digit begin.
__global__ void count_digits(Pass pass, int32_t* counts) {
  __shared__ int32_t mine[kDigits];
  if (threadIdx.x < kDigits) mine[threadIdx.x] = 0;
  __syncthreads();
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kTile;
  for (int i = 0; i < kEach; ++i) {
    const int64_t at = begin + i * kThreads + static_cast<int64_t>(threadIdx.x);
    if (at < pass.n) atomicAdd(&mine[digit_of(pass.keys[at], pass.shift)], 1);
  }
  __syncthreads();
  if (threadIdx.x < kDigits) counts[threadIdx.x * pass.tiles + blockIdx.x] = mine[threadIdx.x];
}

// A thread owns consecutive keys, so that threads in order are keys in order and the sort is stable.
__global__ void place(Pass pass, const int32_t* begins) {
  __shared__ int32_t counts[kDigits][kThreads];
  const auto thread = static_cast<int>(threadIdx.x);
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kTile + static_cast<int64_t>(thread) * kEach;
  const auto count = static_cast<int>(max(static_cast<int64_t>(0), min(static_cast<int64_t>(kEach), pass.n - begin)));
  for (int digit = 0; digit < kDigits; ++digit) counts[digit][thread] = 0;
  for (int i = 0; i < count; ++i) ++counts[digit_of(pass.keys[begin + i], pass.shift)][thread];
  __syncthreads();
  if (thread < kDigits) {
    int32_t sum = begins[threadIdx.x * pass.tiles + blockIdx.x];
    for (int t = 0; t < kThreads; ++t) {
      const int32_t own = counts[thread][t];
      counts[thread][t] = sum;
      sum += own;
    }
  }
  __syncthreads();
  for (int i = 0; i < count; ++i) {
    const uint64_t key = pass.keys[begin + i];
    const int32_t to = counts[digit_of(key, pass.shift)][thread]++;
    pass.sorted_keys[to] = key;
    pass.sorted_values[to] = pass.values[begin + i];
  }
}

}  // namespace

void sort_pairs(const Gpu& gpu, uint64_t* keys, int32_t* values, int64_t n, int bits) {
  require_rows(n, "keys to sort");
  require(bits >= 0 && bits <= 64, "keys have 0 to 64 bits to sort by");
  const unsigned tiles = blocks(n, kTile);
  const Scratch<uint64_t> other_keys(gpu, n);
  const Scratch<int32_t> other_values(gpu, n);
  const Scratch<int32_t> counts(gpu, int64_t{tiles} * kDigits);
  const Scratch<int32_t> begins(gpu, int64_t{tiles} * kDigits + 1);
  Pass pass = {keys, values, other_keys.data(), other_values.data(), n, 0, tiles};
  const Sizes sizes = {{"keys", n}, {"bits", bits}};
  for (; pass.shift < bits && n > 1; pass.shift += kDigitBits) {
    launch(gpu, sizes, count_digits, tiles, kThreads, 0, pass, counts.data());
    exclusive_scan(gpu, counts.data(), begins.data(), int64_t{tiles} * kDigits);
    launch(gpu, sizes, place, tiles, kThreads, 0, pass, begins.data());
    pass = {pass.sorted_keys,
            pass.sorted_values,
            const_cast<uint64_t*>(pass.keys),
            const_cast<int32_t*>(pass.values),
            n,
            pass.shift,
            tiles};
  }
  if (pass.keys == keys) return;
  copy_on_device(gpu, keys, pass.keys, n * static_cast<int64_t>(sizeof(uint64_t)));
  copy_on_device(gpu, values, pass.values, n * static_cast<int64_t>(sizeof(int32_t)));
}

}  // namespace pk::cuda
