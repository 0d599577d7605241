#include "attention/tensor_core.cuh"
#include "common/dtype.hpp"

namespace pk::cuda {
namespace {

constexpr int kTileKeys = 64;  // keys in shared memory at a time
constexpr int kStep = 8;       // keys between two looks at the largest score

template <typename Stored, int kDim>
__device__ void load_tile(const pk_attention& call, int64_t first, int64_t head, int key, float* k, float* v,
                          float* score) {
  for (int i = static_cast<int>(threadIdx.x); i < kTileKeys * kDim; i += static_cast<int>(blockDim.x)) {
    const int slot = key + i / kDim;
    const int channel = i % kDim;
    const int64_t row = slot < call.group_size ? rows_of_slot(call, first + slot).read : -1;
    k[i] = to_float(read_channel<Stored>(call.k, row, call.k_stride, call, head, channel));
    v[i] = to_float(read_channel<Stored>(call.v, row, call.v_stride, call, head, channel));
    if (channel == 0) score[i / kDim] = row < 0 ? kAbsent : 0.0F;
  }
}

// What a thread holds of its query.
template <int kDim>
struct Query {
  float q[kDim];
  float values[kDim] = {};
  float weights = 0.0F;
  float largest = kAbsent;

  __device__ void attend(const float* k, const float* v, const float* score) {
    float scores[kStep];
    float most = largest;
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      scores[i] = score[i];
#pragma unroll
      for (int c = 0; c < kDim; ++c) scores[i] = fmaf(q[c], k[i * kDim + c], scores[i]);
      most = fmaxf(most, scores[i]);
    }
    const float shrink = exp2f(largest - most);
    largest = most;
    weights *= shrink;
#pragma unroll
    for (int c = 0; c < kDim; ++c) values[c] *= shrink;
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      const float weight = exp2f(scores[i] - most);
      weights += weight;
#pragma unroll
      for (int c = 0; c < kDim; ++c) values[c] = fmaf(weight, v[i * kDim + c], values[c]);
    }
  }
};

// A block for one head of a group, a thread for a query.
template <typename Stored, int kDim>
__global__ void attend(pk_attention call) {
  __shared__ float k[kTileKeys * kDim];
  __shared__ float v[kTileKeys * kDim];
  __shared__ float score[kTileKeys];
  const int64_t head = blockIdx.x % static_cast<unsigned>(call.heads);
  const int64_t first = static_cast<int64_t>(blockIdx.x / static_cast<unsigned>(call.heads)) * call.group_size;
  const bool used = static_cast<int>(threadIdx.x) < call.group_size;
  const SlotRows rows = used ? rows_of_slot(call, first + threadIdx.x) : SlotRows{-1, -1};
  Query<kDim> query;
#pragma unroll
  for (int c = 0; c < kDim; ++c)
    query.q[c] = call.scale * kLog2E * to_float(read_channel<Stored>(call.q, rows.read, call.q_stride, call, head, c));
  for (int key = 0; key < call.group_size; key += kTileKeys) {
    load_tile<Stored, kDim>(call, first, head, key, k, v, score);
    __syncthreads();
    for (int i = 0; i < kTileKeys && key + i < call.group_size; i += kStep)
      query.attend(k + i * kDim, v + i * kDim, score + i);
    __syncthreads();
  }
#pragma unroll
  for (int c = 0; c < kDim; ++c) write_channel<Stored>(call, rows.write, head, c, query.values[c] / query.weights);
}

template <int kDim>
void launch_attention(const Gpu& gpu, const pk_attention& call) {
  const Sizes sizes{{"slots", call.n_slots}, {"heads", call.heads}, {"group size", call.group_size}};
  const unsigned grid = blocks(call.n_slots / call.group_size * call.heads, 1);
  if (call.dtype == PK_FLOAT16 && has_tensor_cores(gpu)) {
    const unsigned warps = blocks(call.group_size, kWarpQueries);
    const auto bytes = static_cast<size_t>(SharedKeys<kDim>::bytes(static_cast<int>(warps) * kWarpQueries));
    return launch(gpu, sizes, attend_on_tensor_cores<kDim>, grid, kWarp * warps, bytes, call);
  }
  with_stored(call.dtype, [&](auto stored) {
    launch(gpu, sizes, attend<decltype(stored), kDim>, grid, kWarp * blocks(call.group_size, kWarp), 0, call);
  });
}

}  // namespace

void group_attention(const Gpu& gpu, const pk_attention& call) {
  call.head_dim <= 16 ? launch_attention<16>(gpu, call) : launch_attention<32>(gpu, call);
}

}  // namespace pk::cuda
