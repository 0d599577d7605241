// Which rows the slots of a group read and write.
#pragma once

#include "attention/cuda.hpp"
#include "common/cuda.cuh"

namespace pk::cuda {

constexpr float kLog2E = 1.44269504F;
// The score of a key that is not there: its weight becomes 0 beside any other.
constexpr float kAbsent = -3e38F;

struct SlotRows {
  int64_t read;   // -1: the token does not exist
  int64_t write;  // -1: another slot writes the token's result
};

__device__ inline SlotRows rows_of_slot(const pk_attention& call, int64_t slot) {
  const int64_t position = call.flat2win != nullptr ? call.flat2win[slot] : slot;
  if (position < 0 || position >= call.n_tokens) return {-1, -1};
  const int64_t row = call.order != nullptr ? call.order[position] : position;
  if (row < 0 || row >= call.n_tokens) return {-1, -1};
  return {row, call.flat2win == nullptr || call.win2flat[position] == slot ? row : -1};
}

// One channel of one head of a row; what does not exist is 0.
template <typename Stored>
__device__ inline Stored read_channel(const void* rows, int64_t row, int64_t stride, const pk_attention& call,
                                      int64_t head, int channel) {
  if (row < 0 || channel >= call.head_dim) return from_float<Stored>(0.0F);
  return static_cast<const Stored*>(rows)[row * stride + head * call.head_dim + channel];
}

template <typename Stored>
__device__ inline void write_channel(const pk_attention& call, int64_t row, int64_t head, int channel, float value) {
  if (row < 0 || channel >= call.head_dim) return;
  const int64_t at = (row * call.heads + head) * call.head_dim + channel;
  static_cast<Stored*>(call.output)[at] = from_float<Stored>(value);
}

}  // namespace pk::cuda
