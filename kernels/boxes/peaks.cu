#include "boxes/cuda.hpp"
#include "boxes/decoding.hpp"
#include "boxes/heatmap.hpp"
#include "boxes/ranking.hpp"
#include "boxes/select.hpp"
#include "common/cuda.cuh"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;

template <typename Stored>
struct MapView {
  const Stored* values;  // one class of one batch element
  int width, height;

  __device__ float at(int y, int x) const { return to_float(values[int64_t{y} * width + x]); }
};

template <typename Stored>
__device__ bool is_peak(const MapView<Stored>& map, int y, int x, bool inner_only) {
  const bool on_border = y == 0 || x == 0 || y == map.height - 1 || x == map.width - 1;
  if (inner_only && on_border) return false;
  const float own = map.at(y, x);
  bool largest = true;
  for (int near_y = max(y - 1, 0); near_y <= min(y + 1, map.height - 1); ++near_y)
    for (int near_x = max(x - 1, 0); near_x <= min(x + 1, map.width - 1); ++near_x)
      largest = largest && !(map.at(near_y, near_x) > own);  // what is not a number hides no peak
  return largest;
}

// A rank for each cell; that of minus infinity where it is no peak.
template <typename Stored>
__global__ void rank_cells(pk_heatmap heatmap, const uint8_t* windows, int64_t total, uint32_t* ranks) {
  const int64_t i = global_index();
  if (i >= total) return;
  const int64_t cells = int64_t{heatmap.height} * heatmap.width;
  const int64_t map = i / cells;
  const auto cell = static_cast<int>(i % cells);
  const MapView<Stored> view = {static_cast<const Stored*>(heatmap.values) + map * cells, heatmap.width,
                                heatmap.height};
  const int y = cell / heatmap.width;
  const int x = cell % heatmap.width;
  float rank = view.at(y, x);
  const bool wide = windows[map % heatmap.classes] == 3;
  const bool peak = rank > -INFINITY && (!wide || is_peak(view, y, x, heatmap.inner_only != 0));
  if (peak && heatmap.quality != nullptr) {
    const auto* qualities = static_cast<const Stored*>(heatmap.quality);
    const float quality = fminf(fmaxf(to_float(qualities[map / heatmap.classes * cells + cell]), 0.0F), 1.0F);
    if (heatmap.sigmoid != 0) rank = boxes::sigmoid_of(rank);
    for (int factor = 0; factor < heatmap.quality_power; ++factor) rank *= quality;
  }
  ranks[i] = boxes::rank_of(peak ? rank : -INFINITY);
}

__global__ void write_peaks(const uint64_t* keys, const int32_t* places, int64_t total, int32_t cells, bool is_logit,
                            float* scores, int32_t* labels, int32_t* at) {
  const int64_t i = global_index();
  if (i >= total) return;
  const float value = boxes::value_of(~static_cast<uint32_t>(keys[i]));
  scores[i] = value == -INFINITY ? 0.0F : is_logit ? boxes::sigmoid_of(value) : value;
  labels[i] = places[i] / cells;
  at[i] = places[i] % cells;
}

}  // namespace

void heatmap_peaks(const Gpu& gpu, const pk_heatmap& heatmap, int64_t count, float* scores, int32_t* labels,
                   int32_t* cells) {
  if (heatmap.batches * count == 0) return;
  const int64_t of_batch = boxes::cells_per_batch(heatmap);
  const int64_t total = heatmap.batches * of_batch;
  require(total <= 0x7FFFFFFF, "a heat map on a GPU has at most 2^31 - 1 cells");
  const Sizes sizes = {{"batches", heatmap.batches},
                       {"classes", heatmap.classes},
                       {"height", heatmap.height},
                       {"width", heatmap.width},
                       {"count", count}};
  const Scratch<uint8_t> windows(gpu, heatmap.classes);
  copy_to_device(gpu, windows.data(), heatmap.windows, heatmap.classes);
  const Scratch<uint32_t> ranks(gpu, total);
  const auto rank = heatmap.dtype == PK_FLOAT32 ? rank_cells<float> : rank_cells<Half>;
  launch(gpu, sizes, rank, blocks(total, kThreads), kThreads, 0, heatmap, windows.data(), total, ranks.data());
  const int64_t chosen = heatmap.batches * count;
  const Scratch<uint64_t> keys(gpu, chosen);
  const Scratch<int32_t> places(gpu, chosen);
  select_largest(gpu, ranks.data(), heatmap.batches, of_batch, count, keys.data(), places.data());
  const bool is_logit = heatmap.quality == nullptr && heatmap.sigmoid != 0;
  launch(gpu, sizes, write_peaks, blocks(chosen, kThreads), kThreads, 0, keys.data(), places.data(), chosen,
         static_cast<int32_t>(boxes::cells_per_class(heatmap)), is_logit, scores, labels, cells);
}

}  // namespace pk::cuda
