#include "common/dtype.hpp"
#include "common/rows.cuh"
#include "pillars/cuda.hpp"

namespace pk::cuda {
namespace {

constexpr unsigned kWarpsOfBlock = 8;

struct Range {
  int64_t begin;
  int64_t end;
};

// The rows of a segment, as far as they exist.
__device__ inline Range rows_of_segment(const int32_t* begins, int64_t segment, int64_t n) {
  const int64_t begin = begins[segment] < 0 ? 0 : begins[segment];
  const int64_t end = begins[segment + 1] > n ? n : begins[segment + 1];
  return {begin, end};
}

// What a point has of one axis, less the centre of its pillar; 0 for a point that does not exist.
__device__ inline float offset_of(const PillarFeatures& call, int64_t pillar, int64_t i, int axis) {
  const int64_t point = call.order[i];
  if (point < 0 || point >= call.n) return 0.0F;
  return call.points[point * call.channels + axis] - call.grid.centre_m(call.coords + 3 * pillar, axis);
}

__device__ inline float sum_of_warp(float value) {
  for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
  return value;
}

__device__ inline void describe_point(const PillarFeatures& call, int64_t pillar, int64_t i, const float* means) {
  const int64_t point = call.order[i];
  float* to = call.features + i * (int64_t{call.channels} + 6);
  for (int64_t channel = 0; channel < call.channels; ++channel)
    to[channel] = point >= 0 && point < call.n ? call.points[point * call.channels + channel] : 0.0F;
  for (int axis = 0; axis < 3; ++axis) {
    const float offset = offset_of(call, pillar, i, axis);
    to[call.channels + axis] = offset - means[axis];
    to[call.channels + 3 + axis] = offset;
  }
}

// A warp for a pillar.
__global__ void describe(PillarFeatures call) {
  const int64_t pillar = row_of_thread();
  const bool exists = pillar < call.n_pillars;
  const Range rows = exists ? rows_of_segment(call.begins, pillar, call.n_kept) : Range{0, 0};
  float means[3];
  for (int axis = 0; axis < 3; ++axis) {
    float sum = 0.0F;
    for (int64_t i = rows.begin + threadIdx.x; i < rows.end; i += kWarp) sum += offset_of(call, pillar, i, axis);
    means[axis] = sum_of_warp(sum) / static_cast<float>(rows.end - rows.begin);
  }
  for (int64_t i = rows.begin + threadIdx.x; i < rows.end; i += kWarp) describe_point(call, pillar, i, means);
}

template <typename Stored>
__global__ void reduce(SegmentReduction call) {
  const int64_t segment = row_of_thread();
  if (segment >= call.n_segments) return;
  const Range rows = rows_of_segment(call.begins, segment, call.n);
  const auto* features = static_cast<const Stored*>(call.features);
  for (int64_t channel = threadIdx.x; channel < call.channels; channel += blockDim.x) {
    float result = rows.begin < rows.end ? to_float(features[rows.begin * call.channels + channel]) : 0.0F;
    for (int64_t row = rows.begin + 1; row < rows.end; ++row) {
      const float value = to_float(features[row * call.channels + channel]);
      if (call.reduction == PK_MEAN)
        result += value;
      else
        result = value > result || value != value ? value : result;
    }
    if (call.reduction == PK_MEAN && rows.begin < rows.end) result /= static_cast<float>(rows.end - rows.begin);
    static_cast<Stored*>(call.output)[segment * call.channels + channel] = from_float<Stored>(result);
  }
}

}  // namespace

void pillar_features(const Gpu& gpu, const PillarFeatures& call) {
  launch(gpu, {{"points", call.n_kept}, {"pillars", call.n_pillars}}, describe,
         blocks(call.n_pillars, static_cast<int>(kWarpsOfBlock)), dim3(kWarp, kWarpsOfBlock), 0, call);
}

void segment_reduce(const Gpu& gpu, const SegmentReduction& call) {
  with_stored(call.dtype, [&](auto stored) {
    launch(gpu, {{"rows", call.n}, {"segments", call.n_segments}, {"channels", call.channels}},
           reduce<decltype(stored)>, row_grid(call.n_segments, call.channels), row_block(call.channels), 0, call);
  });
}

}  // namespace pk::cuda
