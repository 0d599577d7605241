// Group attention on tensor cores: half precision, a warp for 16 queries, all keys of the group in shared memory.
#pragma once

#include "attention/slots.cuh"
#include "common/tensor_core.cuh"
#include "common/vector_memory.cuh"

namespace pk::cuda {

constexpr int kWarpQueries = 16;
constexpr int kPadding = 8;  // halves between rows of shared memory, so that the lanes of a warp meet different banks

// Keys and values of a group in shared memory, padded with zeros to whole steps of 16 keys and kDim channels.
template <int kDim>
struct SharedKeys {
  Half* k;       // [keys, kDim + kPadding]
  Half* v;       // [kDim, keys + kPadding]: a product takes neighbouring keys
  float* score;  // [keys], 0 or kAbsent

  static __host__ __device__ int64_t bytes(int keys) {
    return (keys * (kDim + kPadding) + kDim * (keys + kPadding)) * 2 + keys * 4;
  }
  __device__ SharedKeys(unsigned char* memory, int keys)
      : k(reinterpret_cast<Half*>(memory + keys * 4)),
        v(k + keys * (kDim + kPadding)),
        score(reinterpret_cast<float*>(memory)) {}
};

template <int kDim>
__device__ inline void load_keys(const pk_attention& call, int64_t first, int64_t head, int keys,
                                 const SharedKeys<kDim>& to) {
  for (int i = static_cast<int>(threadIdx.x); i < keys * kDim; i += static_cast<int>(blockDim.x)) {
    const int key = i / kDim;
    const int channel = i % kDim;
    const int64_t row = key < call.group_size ? rows_of_slot(call, first + key).read : -1;
    to.k[key * (kDim + kPadding) + channel] = read_channel<Half>(call.k, row, call.k_stride, call, head, channel);
    to.v[channel * (keys + kPadding) + key] = read_channel<Half>(call.v, row, call.v_stride, call, head, channel);
    if (channel == 0) to.score[key] = row < 0 ? kAbsent : 0.0F;
  }
}

__device__ inline uint32_t pack_halves(Half lower, Half upper) {
  return static_cast<uint32_t>(lower.bits) | static_cast<uint32_t>(upper.bits) << 16;
}

// The 16 queries of a warp as fragments of the product: a lane holds rows `group` and `group + 8`.
template <int kDim>
__device__ inline void load_queries(const pk_attention& call, const SlotRows rows[2], int64_t head, int pair,
                                    uint32_t fragments[kDim / 16][4]) {
#pragma unroll
  for (int step = 0; step < kDim / 16; ++step)
#pragma unroll
    for (int word = 0; word < 4; ++word) {
      const int channel = 16 * step + 8 * (word / 2) + 2 * pair;
      const int64_t row = rows[word % 2].read;
      fragments[step][word] = pack_halves(read_channel<Half>(call.q, row, call.q_stride, call, head, channel),
                                          read_channel<Half>(call.q, row, call.q_stride, call, head, channel + 1));
    }
}

// Running softmax of the two rows of a lane.
template <int kDim>
struct RunningResult {
  float largest[2] = {kAbsent, kAbsent};
  float weights[2] = {0.0F, 0.0F};  // this lane's share of the sums
  float values[kDim / 8][4] = {};

  // Scores of 16 keys become weights, in powers of 2; what was summed up before is scaled to the new maximum.
  __device__ void weigh(float scores[2][4]) {
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      float most =
          fmaxf(fmaxf(scores[0][2 * row], scores[0][2 * row + 1]), fmaxf(scores[1][2 * row], scores[1][2 * row + 1]));
      most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, 1));
      most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, 2));
      most = fmaxf(most, largest[row]);
      const float shrink = exp2f(largest[row] - most);
      largest[row] = most;
      weights[row] *= shrink;
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        values[n][2 * row] *= shrink;
        values[n][2 * row + 1] *= shrink;
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float& score = scores[i / 2][2 * row + i % 2];
        score = exp2f(score - most);
        weights[row] += score;
      }
    }
  }
};

template <int kDim>
__device__ inline void attend_step(const SharedKeys<kDim>& shared, int keys, int key, float scale, int group, int pair,
                                   const uint32_t queries[kDim / 16][4], RunningResult<kDim>& result) {
  float scores[2][4] = {};
#pragma unroll
  for (int n = 0; n < 2; ++n) {
#pragma unroll
    for (int step = 0; step < kDim / 16; ++step) {
      const Half* k = shared.k + (key + 8 * n + group) * (kDim + kPadding) + 16 * step + 2 * pair;
      const uint32_t words[2] = {load_vector<uint32_t>(k), load_vector<uint32_t>(k + 8)};
      mma_16x8x16(scores[n], queries[step], words);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) scores[n][i] = scores[n][i] * scale + shared.score[key + 8 * n + 2 * pair + i % 2];
  }
  result.weigh(scores);
  uint32_t weights[4];
#pragma unroll
  for (int word = 0; word < 4; ++word)
    weights[word] =
        pack_halves(to_half(scores[word / 2][2 * (word % 2)]), to_half(scores[word / 2][2 * (word % 2) + 1]));
#pragma unroll
  for (int n = 0; n < kDim / 8; ++n) {
    const Half* v = shared.v + (8 * n + group) * (keys + kPadding) + key + 2 * pair;
    const uint32_t words[2] = {load_vector<uint32_t>(v), load_vector<uint32_t>(v + 8)};
    mma_16x8x16(result.values[n], weights, words);
  }
}

// A block for one head of a group.
template <int kDim>
__global__ void attend_on_tensor_cores(pk_attention call) {
  PK_DYNAMIC_SHARED(unsigned char, memory);
  const int keys = (call.group_size + 15) / 16 * 16;
  const SharedKeys<kDim> shared(memory, keys);
  const int64_t head = blockIdx.x % static_cast<unsigned>(call.heads);
  const int64_t first = static_cast<int64_t>(blockIdx.x / static_cast<unsigned>(call.heads)) * call.group_size;
  load_keys<kDim>(call, first, head, keys, shared);
  __syncthreads();
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int group = lane / 4;
  const int pair = lane % 4;
  SlotRows rows[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int query = static_cast<int>(threadIdx.x) / kWarp * kWarpQueries + group + 8 * i;
    rows[i] = query < call.group_size ? rows_of_slot(call, first + query) : SlotRows{-1, -1};
  }
  uint32_t queries[kDim / 16][4];
  load_queries<kDim>(call, rows, head, pair, queries);
  RunningResult<kDim> result;
  for (int key = 0; key < keys; key += 16)
    attend_step<kDim>(shared, keys, key, call.scale * kLog2E, group, pair, queries, result);
#pragma unroll
  for (int row = 0; row < 2; ++row) {
    float sum = result.weights[row];
    sum += __shfl_xor_sync(kAllLanes, sum, 1);
    sum += __shfl_xor_sync(kAllLanes, sum, 2);
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n)
#pragma unroll
      for (int i = 0; i < 2; ++i)
        write_channel<Half>(call, rows[row].write, head, 8 * n + 2 * pair + i, result.values[n][2 * row + i] / sum);
  }
}

}  // namespace pk::cuda
