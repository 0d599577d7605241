#include "common/bits.hpp"
#include "common/grouping.cuh"
#include "common/radix_sort.cuh"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void make_keys(const int32_t* index, int64_t n, int64_t n_groups, uint64_t* keys, int32_t* members) {
  const int64_t i = global_index();
  if (i >= n) return;
  const bool exists = index[i] >= 0 && index[i] < n_groups;
  keys[i] = static_cast<uint64_t>(exists ? index[i] : n_groups);
  members[i] = static_cast<int32_t>(i);
}

// Where each group begins: the first key that is not smaller.
__global__ void find_begins(const uint64_t* keys, int64_t n, int64_t n_groups, int32_t* begins) {
  const int64_t group = global_index();
  if (group > n_groups) return;
  int64_t low = 0;
  int64_t high = n;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (keys[middle] < static_cast<uint64_t>(group))
      low = middle + 1;
    else
      high = middle;
  }
  begins[group] = static_cast<int32_t>(low);
}

}  // namespace

Groups::Groups(const Gpu& gpu, const int32_t* index, int64_t n, int64_t n_groups)
    : begins_(gpu, n_groups + 1), members_(gpu, n) {
  const Scratch<uint64_t> keys(gpu, n);
  const Sizes sizes = {{"entries", n}, {"groups", n_groups}};
  launch(gpu, sizes, make_keys, blocks(n, kThreads), kThreads, 0, index, n, n_groups, keys.data(), members_.data());
  sort_pairs(gpu, keys.data(), members_.data(), n, bits_of(n_groups));
  launch(gpu, sizes, find_begins, blocks(n_groups + 1, kThreads), kThreads, 0, keys.data(), n, n_groups,
         begins_.data());
}

}  // namespace pk::cuda
