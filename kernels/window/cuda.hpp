#pragma once

#include "common/gpu.hpp"
#include "window/walk.hpp"

namespace pk::cuda {

void window_keys(const Gpu& gpu, const int32_t* coords, int64_t n, const WindowWalk& walk, uint64_t* keys);
void window_order(const Gpu& gpu, const int32_t* coords, int64_t n, const WindowWalk& walk, int32_t* order);

// One batch element of pk_group_tokens: its first position and slot, its tokens and slots.
struct GroupedElement {
  int64_t position;
  int64_t slot;
  int64_t tokens;
  int64_t slots;
};

void group_tokens(const Gpu& gpu, const GroupedElement& element, int32_t group_size, int32_t* flat2win,
                  int32_t* win2flat);

}  // namespace pk::cuda
