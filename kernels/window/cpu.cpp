#include <limits>
#include <string>
#include <vector>

#include "common/call.hpp"
#include "common/gpu.hpp"
#include "common/radix_order.hpp"
#include "window/cuda.hpp"
#include "window/slots.hpp"
#include "window/walk.hpp"

namespace pk {
namespace {

constexpr int64_t kSmallestShare = 1 << 14;  // cells a thread
constexpr int64_t kMostCells = int64_t{1} << 40;
constexpr int64_t kMostWindowCells = 1 << 16;

WindowWalk checked_walk(const pk_window_walk* walk) {
  require(walk != nullptr, "walk is null");
  require(walk->n_batches >= 1 && walk->height >= 1 && walk->width >= 1,
          "the number of batch elements, height and width must be at least 1");
  require(walk->window_height >= 1 && walk->window_width >= 1, "a window must be at least one cell high and wide");
  require(int64_t{walk->height} * walk->width <= kMostCells / walk->n_batches, "the map has more than 2^40 cells");
  require(int64_t{walk->window_height} * walk->window_width <= kMostWindowCells, "a window has more than 65536 cells");
  return WindowWalk(*walk);
}

void fill_keys(const int32_t* coords, int64_t n, const WindowWalk& walk, uint64_t* keys, int threads) {
  int64_t bad_row = n;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(min : bad_row)
  for (int64_t row = 0; row < n; ++row) {
    keys[row] = walk.key(coords + 3 * row);
    if (keys[row] == kNowhere && row < bad_row) bad_row = row;
  }
  if (bad_row < n) throw Failure(PK_OUT_OF_RANGE, "cell " + std::to_string(bad_row) + " lies outside the map");
}

void require_cells(const int32_t* coords, int64_t n) {
  require_rows(n, "cells");
  require_array(coords, n, "coords");
}

// Slots of a batch element, or -1.
int64_t slots_of(int64_t tokens, int32_t group_size) {
  if (tokens < 0 || tokens > std::numeric_limits<int32_t>::max()) return -1;
  return (tokens + group_size - 1) / group_size * group_size;
}

std::vector<cuda::GroupedElement> grouped_elements(const int64_t* counts, int64_t n_batches, int32_t group_size) {
  std::vector<cuda::GroupedElement> elements;
  cuda::GroupedElement next{0, 0, 0, 0};
  for (int64_t element = 0; element < n_batches; ++element) {
    next.tokens = counts[element];
    next.slots = slots_of(next.tokens, group_size);
    elements.push_back(next);
    next.position += next.tokens;
    next.slot += next.slots;
  }
  return elements;
}

void fill_groups(const cuda::GroupedElement& element, int32_t group_size, int32_t* flat2win, int32_t* win2flat) {
  for (int64_t slot = 0; slot < element.slots; ++slot)
    flat2win[element.slot + slot] =
        static_cast<int32_t>(element.position + token_of_slot(slot, element.tokens, group_size));
  for (int64_t token = 0; token < element.tokens; ++token)
    win2flat[element.position + token] = static_cast<int32_t>(element.slot + token);
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_window_keys(const pk_execution* where, const int32_t* coords, int64_t n, const pk_window_walk* walk,
                         uint64_t* keys) {
  return pk::guarded("window keys", [&] {
    const pk::WindowWalk checked = pk::checked_walk(walk);
    pk::require_cells(coords, n);
    pk::require_array(keys, n, "keys");
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::window_keys(gpu, coords, n, checked, keys));
    pk::fill_keys(coords, n, checked, keys, pk::useful_threads(pk::cpu_threads(where), n, pk::kSmallestShare));
  });
}

pk_status pk_window_order(const pk_execution* where, const int32_t* coords, int64_t n, const pk_window_walk* walk,
                          int32_t* order) {
  return pk::guarded("window order", [&] {
    const pk::WindowWalk checked = pk::checked_walk(walk);
    pk::require_cells(coords, n);
    pk::require_array(order, n, "order");
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::window_order(gpu, coords, n, checked, order));
    std::vector<uint64_t> keys(static_cast<size_t>(n));
    pk::fill_keys(coords, n, checked, keys.data(), pk::useful_threads(pk::cpu_threads(where), n, pk::kSmallestShare));
    pk::radix_order(std::move(keys), checked.key_bits(), order);
  });
}

int64_t pk_group_slots(const int64_t* counts, int64_t n_batches, int32_t group_size) {
  if (n_batches < 0 || group_size < 1 || (counts == nullptr && n_batches > 0)) return -1;
  int64_t slots = 0;
  for (int64_t element = 0; element < n_batches; ++element) {
    const int64_t more = pk::slots_of(counts[element], group_size);
    if (more < 0 || slots + more > std::numeric_limits<int32_t>::max()) return -1;
    slots += more;
  }
  return slots;
}

pk_status pk_group_tokens(const pk_execution* where, const int64_t* counts, int64_t n_batches, int32_t group_size,
                          int32_t* flat2win, int32_t* win2flat) {
  return pk::guarded("group tokens", [&] {
    pk::require(group_size >= 1, "group_size must be at least 1");
    pk::require_array(counts, n_batches, "counts");
    const int64_t slots = pk_group_slots(counts, n_batches, group_size);
    pk::require(slots >= 0, "a count is negative, or there are more than 2147483647 slots");
    pk::require_array(flat2win, slots, "flat2win");
    pk::require_array(win2flat, slots, "win2flat");
    const pk::Gpu gpu = pk::gpu_of(where);
    if (!gpu) pk::cpu_threads(where);
    for (const auto& element : pk::grouped_elements(counts, n_batches, group_size))
      if (gpu)
        PK_CUDA(pk::cuda::group_tokens(gpu, element, group_size, flat2win, win2flat));
      else
        pk::fill_groups(element, group_size, flat2win, win2flat);
  });
}
}
