#include <algorithm>
#include <vector>

#include "common/call.hpp"
#include "common/dtype.hpp"
#include "common/gpu.hpp"
#include "common/threads.hpp"
#include "half/loops.hpp"
#include "pillars/checks.hpp"
#include "pillars/cuda.hpp"

namespace pk {
namespace {

constexpr int64_t kSmallestShare = 1 << 14;  // elements a thread

// The mean is taken of offsets from the centre: they are small, so that nothing is lost far from the origin.
void describe_pillar(const PillarFeatures& call, int64_t pillar) {
  const int64_t begin = call.begins[pillar];
  const int64_t end = call.begins[pillar + 1];
  const int64_t width = int64_t{call.channels} + 6;
  float sums[3] = {};
  for (int64_t i = begin; i < end; ++i) {
    const float* point = call.points + int64_t{call.order[i]} * call.channels;
    float* to = std::copy_n(point, call.channels, call.features + i * width) + 3;
    for (int axis = 0; axis < 3; ++axis) {
      to[axis] = point[axis] - call.grid.centre_m(call.coords + 3 * pillar, axis);
      sums[axis] += to[axis];
    }
  }
  for (int64_t i = begin; i < end; ++i) {
    float* to = call.features + i * width + call.channels;
    for (int axis = 0; axis < 3; ++axis) to[axis] = to[axis + 3] - sums[axis] / static_cast<float>(end - begin);
  }
}

void describe(const PillarFeatures& call, int threads) {
  for (int64_t i = 0; i < call.n_kept; ++i)
    require(call.order[i] >= 0 && call.order[i] < call.n, "order names a point that does not exist");
  require_begins(call.begins, call.n_pillars, call.n_kept);
  require(call.n_kept == (call.n_pillars > 0 ? call.begins[call.n_pillars] - call.begins[0] : 0),
          "begins must cover all points of order");
#pragma omp parallel for num_threads(threads) schedule(dynamic, 64)
  for (int64_t pillar = 0; pillar < call.n_pillars; ++pillar) describe_pillar(call, pillar);
}

void take_larger(const float* row, int64_t channels, float* largest) {
  for (int64_t c = 0; c < channels; ++c) largest[c] = row[c] > largest[c] || row[c] != row[c] ? row[c] : largest[c];
}

void add(const float* row, int64_t channels, float* sums) {
  for (int64_t c = 0; c < channels; ++c) sums[c] += row[c];
}

template <typename Stored>
void reduce_segment(const SegmentReduction& call, int64_t segment, float* result, float* row) {
  const auto* features = static_cast<const Stored*>(call.features);
  const int64_t begin = call.begins[segment];
  const int64_t end = call.begins[segment + 1];
  std::fill_n(result, call.channels, 0.0F);
  if (begin < end) read_row(features + begin * call.channels, result, call.channels);
  for (int64_t i = begin + 1; i < end; ++i) {
    read_row(features + i * call.channels, row, call.channels);
    call.reduction == PK_MAX ? take_larger(row, call.channels, result) : add(row, call.channels, result);
  }
  if (call.reduction == PK_MEAN && begin < end)
    for (int64_t c = 0; c < call.channels; ++c) result[c] /= static_cast<float>(end - begin);
  write_row(result, static_cast<Stored*>(call.output) + segment * call.channels, call.channels);
}

template <typename Stored>
void reduce(const SegmentReduction& call, int threads) {
  const auto room = static_cast<size_t>(2 * call.channels);
  std::vector<std::vector<float>> rooms(static_cast<size_t>(threads), std::vector<float>(room));
#pragma omp parallel for num_threads(threads) schedule(dynamic, 64)
  for (int64_t segment = 0; segment < call.n_segments; ++segment) {
    float* mine = rooms[static_cast<size_t>(thread_index())].data();
    reduce_segment<Stored>(call, segment, mine, mine + call.channels);
  }
}

void require_features(const PillarFeatures& call) {
  require_rows(call.n, "points");
  require_rows(call.n_kept, "kept points");
  require_rows(call.n_pillars, "pillars");
  require_channels(call.channels, 3);
  require_array(call.points, call.n, "points");
  require_array(call.coords, call.n_pillars, "coords");
  require_array(call.order, call.n_kept, "order");
  require_array(call.begins, call.n_pillars, "begins");
  require_array(call.features, call.n_kept, "features");
}

void require_reduction(const SegmentReduction& call) {
  require_rows(call.n, "rows");
  require_rows(call.n_segments, "segments");
  require_channels(call.channels, 1);
  require_dtype(call.dtype);
  require(call.reduction == PK_MAX || call.reduction == PK_MEAN, "reduction must be PK_MAX or PK_MEAN");
  require_array(call.features, call.n, "features");
  require_array(call.begins, call.n_segments, "begins");
  require_array(call.output, call.n_segments, "output");
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_pillar_features(const pk_execution* where, const float* points, int64_t n, int32_t channels,
                             const pk_pillar_grid* grid, const int32_t* coords, const int32_t* order,
                             const int32_t* begins, int64_t n_pillars, int64_t n_kept, float* features) {
  return pk::guarded("pillar features", [&] {
    const pk::PillarFeatures call{points,    n,      channels, pk::checked_grid(grid, 1), coords, order, begins,
                                  n_pillars, n_kept, features};
    pk::require_features(call);
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::pillar_features(gpu, call));
    pk::describe(call, pk::useful_threads(pk::cpu_threads(where), n_kept * (channels + 6), pk::kSmallestShare));
  });
}

pk_status pk_segment_reduce(const pk_execution* where, const void* features, int64_t n, int32_t channels, int32_t dtype,
                            const int32_t* begins, int64_t n_segments, int32_t reduction, void* output) {
  return pk::guarded("segment reduce", [&] {
    const pk::SegmentReduction call{features, n, channels, dtype, begins, n_segments, reduction, output};
    pk::require_reduction(call);
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::segment_reduce(gpu, call));
    pk::require_begins(begins, n_segments, n);
    const int threads = pk::useful_threads(pk::cpu_threads(where), n * channels, pk::kSmallestShare);
    pk::with_stored(dtype, [&](auto stored) { pk::reduce<decltype(stored)>(call, threads); });
  });
}
}
