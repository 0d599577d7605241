// Radix selection: four histograms, one for each byte of the ranks from the top, find the smallest rank that is among
// the largest; those alone are sorted.
#include "boxes/select.hpp"
#include "common/bits.hpp"
#include "common/cuda.cuh"
#include "common/radix_sort.cuh"
#include "common/scan.cuh"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kBins = 256;
constexpr int kRanksPerBlock = 16 * kThreads;

// What is known of the smallest rank that is among the largest: its upper bytes, and how many with these are wanted.
struct Threshold {
  uint32_t rank;
  int32_t wanted;
};

__global__ void start_search(int64_t batches, int32_t count, Threshold* thresholds) {
  const int64_t batch = global_index();
  if (batch < batches) thresholds[batch] = {0U, count};
}

// Count the byte at `shift` of the ranks whose upper bytes are those of the threshold. One row of blocks a batch.
__global__ void count_bytes(const uint32_t* ranks, int64_t n, const Threshold* thresholds, int shift, int32_t* bins) {
  __shared__ int32_t counts[kBins];
  const int64_t batch = blockIdx.y;
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kRanksPerBlock;
  counts[threadIdx.x] = 0;
  __syncthreads();
  const uint32_t wanted = thresholds[batch].rank;
  for (int64_t i = begin + threadIdx.x; i < min(n, begin + kRanksPerBlock); i += kThreads) {
    const uint32_t rank = ranks[batch * n + i];
    if (shift == 24 || rank >> (shift + 8) == wanted >> (shift + 8)) atomicAdd(&counts[rank >> shift & 0xFFU], 1);
  }
  __syncthreads();
  if (counts[threadIdx.x] != 0) atomicAdd(&bins[batch * kBins + threadIdx.x], counts[threadIdx.x]);
}

// Settle one more byte of each threshold, and clear the bins for the next.
__global__ void narrow_search(int64_t batches, int shift, Threshold* thresholds, int32_t* bins) {
  const int64_t batch = global_index();
  if (batch >= batches) return;
  int32_t* counts = bins + batch * kBins;
  int32_t wanted = thresholds[batch].wanted;
  uint32_t byte = kBins - 1;
  for (; byte > 0 && counts[byte] < wanted; --byte) wanted -= counts[byte];
  thresholds[batch] = {thresholds[batch].rank | byte << shift, wanted};
  for (int bin = 0; bin < kBins; ++bin) counts[bin] = 0;
}

__global__ void flag_equal(const uint32_t* ranks, int64_t n, int64_t total, const Threshold* thresholds,
                           int32_t* flags) {
  const int64_t i = global_index();
  if (i < total) flags[i] = ranks[i] == thresholds[i / n].rank ? 1 : 0;
}

// All above the threshold, and of those that equal it the first.
__global__ void flag_chosen(const uint32_t* ranks, int64_t n, int64_t total, const Threshold* thresholds,
                            const int32_t* equal_before, int32_t* flags) {
  const int64_t i = global_index();
  if (i >= total) return;
  const Threshold threshold = thresholds[i / n];
  const bool among_first = equal_before[i] - equal_before[i / n * n] < threshold.wanted;
  flags[i] = ranks[i] > threshold.rank || (ranks[i] == threshold.rank && among_first) ? 1 : 0;
}

__global__ void gather_chosen(const uint32_t* ranks, int64_t n, int64_t total, const int32_t* flags,
                              const int32_t* chosen_before, uint64_t* keys, int32_t* places) {
  const int64_t i = global_index();
  if (i >= total || flags[i] == 0) return;
  keys[chosen_before[i]] = static_cast<uint64_t>(i / n) << 32 | static_cast<uint32_t>(~ranks[i]);
  places[chosen_before[i]] = static_cast<int32_t>(i % n);
}

void find_thresholds(const Gpu& gpu, const Sizes& sizes, const uint32_t* ranks, int64_t batches, int64_t n,
                     int64_t count, Threshold* thresholds) {
  const Scratch<int32_t> bins(gpu, batches * kBins);
  fill_bytes(gpu, bins.data(), 0, batches * kBins * static_cast<int64_t>(sizeof(int32_t)));
  const unsigned each = blocks(batches, kThreads);
  launch(gpu, sizes, start_search, each, kThreads, 0, batches, count, thresholds);
  for (int shift = 24; shift >= 0; shift -= 8) {
    const dim3 grid(blocks(n, kRanksPerBlock), static_cast<unsigned>(batches));
    launch(gpu, sizes, count_bytes, grid, kThreads, 0, ranks, n, thresholds, shift, bins.data());
    launch(gpu, sizes, narrow_search, each, kThreads, 0, batches, shift, thresholds, bins.data());
  }
}

}  // namespace

void select_largest(const Gpu& gpu, const uint32_t* ranks, int64_t batches, int64_t n, int64_t count, uint64_t* keys,
                    int32_t* places) {
  require(batches <= 65535, "at most 65535 batch elements are supported on a GPU");
  const int64_t total = batches * n;
  const Sizes sizes = {{"batches", batches}, {"ranks", n}, {"wanted", count}};
  const Scratch<Threshold> thresholds(gpu, batches);
  find_thresholds(gpu, sizes, ranks, batches, n, count, thresholds.data());
  const Scratch<int32_t> flags(gpu, total);
  const Scratch<int32_t> before(gpu, total + 1);
  const unsigned all = blocks(total, kThreads);
  launch(gpu, sizes, flag_equal, all, kThreads, 0, ranks, n, total, thresholds.data(), flags.data());
  exclusive_scan(gpu, flags.data(), before.data(), total);
  launch(gpu, sizes, flag_chosen, all, kThreads, 0, ranks, n, total, thresholds.data(), before.data(), flags.data());
  exclusive_scan(gpu, flags.data(), before.data(), total);
  launch(gpu, sizes, gather_chosen, all, kThreads, 0, ranks, n, total, flags.data(), before.data(), keys, places);
  sort_pairs(gpu, keys, places, batches * count, 32 + bits_of(batches - 1));
}

}  // namespace pk::cuda
