#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "boxes/arguments.hpp"
#include "boxes/heatmap.hpp"
#include "boxes/loops.hpp"
#include "boxes/ranking.hpp"
#include "common/dtype.hpp"
#include "common/half.hpp"

#if defined(PK_WITH_CUDA)
#include "boxes/cuda.hpp"
#endif

namespace pk::boxes {
namespace {

constexpr int64_t kSmallestShare = 16384;  // cells
constexpr size_t kSlack = 4096;

// The best peaks of the rows that one thread has seen. A larger key is a better peak, or one that comes earlier.
class Best {
 public:
  explicit Best(int64_t count) : count_(static_cast<size_t>(count)) { keys_.reserve(2 * count_ + kSlack); }

  void add(float rank, int64_t cell) {
    if (keys_.size() == 2 * count_ + kSlack) shrink();
    keys_.push_back(static_cast<uint64_t>(rank_of(rank)) << 32 | static_cast<uint32_t>(~static_cast<uint32_t>(cell)));
  }

  // Later peaks have to be better than this.
  float limit() const { return limit_; }
  const std::vector<uint64_t>& keys() const { return keys_; }

 private:
  void shrink() {
    std::nth_element(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(count_ - 1), keys_.end(),
                     std::greater<>());
    keys_.resize(count_);
    limit_ = value_of(static_cast<uint32_t>(keys_.back() >> 32));
  }

  size_t count_;
  std::vector<uint64_t> keys_;
  float limit_ = kNoPeak;
};

// One row of a map as float32, without a copy where it is already.
const float* row_of(const void* map, int32_t dtype, int64_t row, int64_t width, float* converted) {
  if (dtype == PK_FLOAT32) return static_cast<const float*>(map) + row * width;
  const Half* halves = static_cast<const Half*>(map) + row * width;
  std::transform(halves, halves + width, converted, [](Half value) { return to_float(value); });
  return converted;
}

// Ranks the rows of a heat map, each by itself; what it needs for that is its own.
class RowRanker {
 public:
  explicit RowRanker(const pk_heatmap& heatmap)
      : map_(heatmap),
        width_(heatmap.width),
        room_(static_cast<size_t>(6 * (width_ + 2))),
        found_(static_cast<size_t>(width_)) {}

  void collect(int64_t batch, int64_t row, Best& best) {
    float* ranks = room(0);
    rank(batch, row, ranks);
    const int64_t n_found = heatmap_loops().above(ranks, best.limit(), width_, found_.data());
    for (int64_t i = 0; i < n_found; ++i) {
      const int32_t x = found_[static_cast<size_t>(i)];
      best.add(ranks[x], row * width_ + x);
    }
  }

 private:
  float* room(int64_t which) { return room_.data() + which * (width_ + 2); }

  // `row` counts the rows of all classes of the batch element.
  void rank(int64_t batch, int64_t row, float* ranks) {
    const int64_t y = row % map_.height;
    const int64_t first = batch * map_.classes * map_.height + row - y;
    const auto values = [&](int64_t of_y, int64_t which) {
      return row_of(map_.values, map_.dtype, first + of_y, width_, room(which));
    };
    const float* here = values(y, 1);
    if (map_.windows[row / map_.height] == 1) {
      std::transform(here, here + width_, ranks, [](float value) { return value > kNoPeak ? value : kNoPeak; });
    } else {
      const float* above = y > 0 ? values(y - 1, 2) : here;
      const float* below = y + 1 < map_.height ? values(y + 1, 3) : here;
      heatmap_loops().local_maxima(above, here, below, width_, room(4), ranks);
      if (map_.inner_only != 0) drop_border(y, ranks);
    }
    if (map_.quality == nullptr) return;
    const float* quality = row_of(map_.quality, map_.dtype, batch * map_.height + y, width_, room(5));
    heatmap_loops().weigh(quality, map_.quality_power, map_.sigmoid != 0, width_, ranks);
  }

  void drop_border(int64_t y, float* ranks) const {
    if (y == 0 || y == map_.height - 1)
      std::fill_n(ranks, width_, kNoPeak);
    else
      ranks[0] = ranks[width_ - 1] = kNoPeak;
  }

  const pk_heatmap& map_;
  int64_t width_;
  std::vector<float> room_;
  std::vector<int32_t> found_;
};

struct Worker {
  Worker(const pk_heatmap& heatmap, int64_t count) : ranker(heatmap), best(count) {}
  RowRanker ranker;
  Best best;
};

// The keys of the best peaks of one batch element, best first; fewer than `count` where it has fewer.
std::vector<uint64_t> best_peaks(const pk_heatmap& heatmap, int64_t batch, int64_t count, int threads) {
  std::vector<Worker> workers;
  workers.reserve(static_cast<size_t>(threads));
  for (int share = 0; share < threads; ++share) workers.emplace_back(heatmap, count);
  const int64_t rows = int64_t{heatmap.classes} * heatmap.height;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int share = 0; share < threads; ++share) {
    Worker& worker = workers[static_cast<size_t>(share)];
    for (int64_t row = rows * share / threads; row < rows * (share + 1) / threads; ++row)
      worker.ranker.collect(batch, row, worker.best);
  }
  std::vector<uint64_t> keys;
  for (const Worker& worker : workers) keys.insert(keys.end(), worker.best.keys().begin(), worker.best.keys().end());
  if (keys.size() > static_cast<size_t>(count)) {
    std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(count - 1), keys.end(), std::greater<>());
    keys.resize(static_cast<size_t>(count));
  }
  std::sort(keys.begin(), keys.end(), std::greater<>());
  return keys;
}

struct PeakLists {
  float* scores;
  int32_t* labels;
  int32_t* cells;

  void set(int64_t i, float score, int64_t flat, int64_t cells_of_class) const {
    scores[i] = score;
    labels[i] = static_cast<int32_t>(flat / cells_of_class);
    cells[i] = static_cast<int32_t>(flat % cells_of_class);
  }
};

int64_t flat_cell(uint64_t key) { return static_cast<int64_t>(static_cast<uint32_t>(~static_cast<uint32_t>(key))); }

void write_peaks(const pk_heatmap& heatmap, const std::vector<uint64_t>& keys, int64_t count, const PeakLists& lists) {
  const bool is_logit = heatmap.quality == nullptr && heatmap.sigmoid != 0;
  int64_t i = 0;
  for (const uint64_t key : keys) {
    const float rank = value_of(static_cast<uint32_t>(key >> 32));
    lists.set(i++, is_logit ? 1.0F / (1.0F + std::exp(-rank)) : rank, flat_cell(key), cells_per_class(heatmap));
  }
  if (i == count) return;
  // Too few: all peaks are in `keys`, so every other cell is none.
  std::vector<bool> is_peak(static_cast<size_t>(cells_per_batch(heatmap)));
  for (const uint64_t key : keys) is_peak[static_cast<size_t>(flat_cell(key))] = true;
  for (int64_t flat = 0; i < count; ++flat)
    if (!is_peak[static_cast<size_t>(flat)]) lists.set(i++, 0.0F, flat, cells_per_class(heatmap));
}

void find_peaks(const pk_heatmap& heatmap, int64_t count, const PeakLists& lists, int threads) {
  for (int64_t batch = 0; batch < heatmap.batches; ++batch) {
    const int64_t at = batch * count;
    write_peaks(heatmap, best_peaks(heatmap, batch, count, threads), count,
                {lists.scores + at, lists.labels + at, lists.cells + at});
  }
}

void require_heatmap(const pk_heatmap& heatmap, int32_t count) {
  require(heatmap.batches >= 0 && heatmap.classes >= 0 && heatmap.height >= 0 && heatmap.width >= 0,
          "a size of the heat map is negative");
  require(heatmap.classes <= kMostHeatmapClasses, "the number of classes must lie in 0..1024");
  const int64_t cells = cells_per_class(heatmap);
  require(
      cells <= std::numeric_limits<int32_t>::max() && heatmap.classes * cells <= std::numeric_limits<int32_t>::max(),
      "a batch element of the heat map has 2^31 cells or more");
  require(count >= 0 && count <= cells_per_batch(heatmap), "count must lie in 0..classes * height * width");
  require_dtype(heatmap.dtype);
  require_array(heatmap.values, heatmap.batches * cells_per_batch(heatmap), "values");
  require(heatmap.quality == nullptr || (heatmap.quality_power >= 1 && heatmap.quality_power <= 8),
          "the power of the quality must lie in 1..8");
  require_array(heatmap.windows, heatmap.classes, "windows");
  for (int32_t label = 0; label < heatmap.classes; ++label)
    require(heatmap.windows[label] == 1 || heatmap.windows[label] == 3, "a window must be 1 or 3 cells wide");
}

}  // namespace
}  // namespace pk::boxes

extern "C" pk_status pk_heatmap_peaks(const pk_execution* where, const pk_heatmap* heatmap, int32_t count,
                                      float* scores, int32_t* labels, int32_t* cells) {
  return pk::guarded("heat-map peaks", [&] {
    pk::require(heatmap != nullptr, "heatmap is null");
    pk::boxes::require_heatmap(*heatmap, count);
    const int64_t outputs = int64_t{heatmap->batches} * count;
    pk::require_array(scores, outputs, "scores");
    pk::require_array(labels, outputs, "labels");
    pk::require_array(cells, outputs, "cells");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::heatmap_peaks(gpu, *heatmap, count, scores, labels, cells));
    if (outputs == 0) return;
    const int threads =
        pk::useful_threads(pk::cpu_threads(where), pk::boxes::cells_per_batch(*heatmap), pk::boxes::kSmallestShare);
    pk::boxes::find_peaks(*heatmap, count, {scores, labels, cells}, threads);
  });
}
