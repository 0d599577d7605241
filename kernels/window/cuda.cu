#include "common/radix_sort.cuh"
#include "window/cuda.hpp"
#include "window/slots.hpp"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void fill_keys(const int32_t* coords, int64_t n, WindowWalk walk, uint64_t* keys) {
  const int64_t row = global_index();
  if (row < n) keys[row] = walk.key(coords + 3 * row);
}

__global__ void fill_rows(int32_t* order, int64_t n) {
  const int64_t row = global_index();
  if (row < n) order[row] = static_cast<int32_t>(row);
}

__global__ void fill_groups(GroupedElement element, int32_t group_size, int32_t* flat2win, int32_t* win2flat) {
  const int64_t slot = global_index();
  if (slot >= element.slots) return;
  const int64_t token = token_of_slot(slot, element.tokens, group_size);
  flat2win[element.slot + slot] = static_cast<int32_t>(element.position + token);
  if (slot < element.tokens) win2flat[element.position + slot] = static_cast<int32_t>(element.slot + slot);
}

}  // namespace

void window_keys(const Gpu& gpu, const int32_t* coords, int64_t n, const WindowWalk& walk, uint64_t* keys) {
  launch(gpu, {{"cells", n}}, fill_keys, blocks(n, kThreads), kThreads, 0, coords, n, walk, keys);
}

void window_order(const Gpu& gpu, const int32_t* coords, int64_t n, const WindowWalk& walk, int32_t* order) {
  const Scratch<uint64_t> keys(gpu, n);
  window_keys(gpu, coords, n, walk, keys.data());
  launch(gpu, {{"cells", n}}, fill_rows, blocks(n, kThreads), kThreads, 0, order, n);
  // One bit more than keys need: there the key of a cell outside the map is the largest.
  sort_pairs(gpu, keys.data(), order, n, walk.key_bits() + 1);
}

void group_tokens(const Gpu& gpu, const GroupedElement& element, int32_t group_size, int32_t* flat2win,
                  int32_t* win2flat) {
  launch(gpu, {{"tokens", element.tokens}, {"slots", element.slots}}, fill_groups, blocks(element.slots, kThreads),
         kThreads, 0, element, group_size, flat2win, win2flat);
}

}  // namespace pk::cuda
