#include <algorithm>
#include <utility>
#include <vector>

#include "boxes/arguments.hpp"
#include "boxes/footprints.hpp"
#include "boxes/ranking.hpp"
#include "boxes/suppression.hpp"

#if defined(PK_WITH_CUDA)
#include "boxes/cuda.hpp"
#endif

namespace pk::boxes {
namespace {

constexpr int64_t kSmallestShare = 512;  // boxes

using Rows = std::vector<int32_t>;

// The rows that take part, class by class, best first, equal scores by row.
std::vector<Rows> candidates_by_class(const Suppression& task) {
  std::vector<std::vector<uint64_t>> keys(static_cast<size_t>(task.n_classes));
  for (int64_t i = 0; i < task.n; ++i) {
    const int32_t label = task.labels == nullptr ? 0 : task.labels[i];
    require(label >= 0 && label < task.n_classes, "a label names a class that does not exist");
    if (task.scores[i] > task.classes[label].score_above)
      keys[static_cast<size_t>(label)].push_back(static_cast<uint64_t>(~rank_of(task.scores[i])) << 32 |
                                                 static_cast<uint64_t>(i));
  }
  std::vector<Rows> rows(keys.size());
  for (size_t label = 0; label < keys.size(); ++label) {
    std::sort(keys[label].begin(), keys[label].end());
    const auto count = std::min<size_t>(keys[label].size(), static_cast<size_t>(task.classes[label].candidates));
    rows[label].resize(count);
    std::transform(keys[label].begin(), keys[label].begin() + static_cast<std::ptrdiff_t>(count), rows[label].begin(),
                   [](uint64_t key) { return static_cast<int32_t>(static_cast<uint32_t>(key)); });
  }
  return rows;
}

// The candidates of one class, in the order in which they are looked at. Memory is all taken at the start.
class Contest {
 public:
  Contest(const Suppression& task, Rows rows, const pk_class_suppression& rules)
      : rows_(std::move(rows)),
        rules_(rules),
        by_distance_(task.criterion == Criterion::kDistance),
        all_(size()),
        near_(size()),
        reached_(rows_.size()),
        gone_(rows_.size()),
        near_places_(rows_.size()),
        iou_(rows_.size()) {
    for (int64_t i = 0; i < size(); ++i) {
      PreparedBox box = prepare(task.boxes + int64_t{rows_[static_cast<size_t>(i)]} * task.columns);
      if (by_distance_) box.radius = 0.0F;
      all_.set(i, box);
    }
  }

  void run() {
    for (int64_t i = 0; i < size() && n_kept_ < rules_.kept; ++i) {
      if (gone_[static_cast<size_t>(i)] != 0) continue;
      suppress_after(i);
      rows_[static_cast<size_t>(n_kept_++)] = rows_[static_cast<size_t>(i)];
    }
  }

  int32_t* copy_kept(int32_t* to) const { return std::copy_n(rows_.begin(), n_kept_, to); }

 private:
  int64_t size() const { return static_cast<int64_t>(rows_.size()); }

  void suppress_after(int64_t i) {
    const PreparedBox box = all_.get(i);
    const float radius = by_distance_ ? rules_.limit : box.radius;
    const int64_t begin = i + 1;
    box_loops().reach(box.footprint.x, box.footprint.y, radius, all_.columns(begin), size() - begin,
                      reached_.data() + begin);
    if (!by_distance_) return suppress_overlapping(box, gather_near(begin));
    for (size_t k = static_cast<size_t>(begin); k < gone_.size(); ++k) gone_[k] |= reached_[k];
  }

  // The boxes still there that may overlap are few: side by side they fill whole vectors.
  int64_t gather_near(int64_t begin) {
    int64_t n_near = 0;
    for (int64_t k = begin; k < size(); ++k) {
      if ((reached_[static_cast<size_t>(k)] & ~gone_[static_cast<size_t>(k)]) == 0) continue;
      near_.copy(n_near, all_, k);
      near_places_[static_cast<size_t>(n_near++)] = static_cast<int32_t>(k);
    }
    return n_near;
  }

  void suppress_overlapping(const PreparedBox& box, int64_t n_near) {
    box_loops().iou(box, near_.columns(), n_near, false, iou_.data());
    for (size_t k = 0; k < static_cast<size_t>(n_near); ++k)
      if (iou_[k] > rules_.limit) gone_[static_cast<size_t>(near_places_[k])] = 1;
  }

  Rows rows_;  // the kept ones move to its front
  int64_t n_kept_ = 0;
  pk_class_suppression rules_;
  bool by_distance_;
  Footprints all_, near_;
  std::vector<uint8_t> reached_, gone_;
  Rows near_places_;
  std::vector<float> iou_;
};

int64_t suppress(const Suppression& task, int32_t* kept, int threads) {
  std::vector<Contest> contests;
  contests.reserve(static_cast<size_t>(task.n_classes));
  std::vector<Rows> candidates = candidates_by_class(task);
  for (Rows& rows : candidates) {
    const size_t label = contests.size();
    contests.emplace_back(task, std::move(rows), task.classes[label]);
  }
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (size_t label = 0; label < contests.size(); ++label) contests[label].run();
  int32_t* end = kept;
  for (const Contest& contest : contests) end = contest.copy_kept(end);
  return end - kept;
}

void require_rules(const pk_class_suppression* classes, int32_t n_classes, Criterion criterion) {
  require(n_classes >= 1 && n_classes <= kMostClasses, "the number of classes must lie in 1..1024");
  require(classes != nullptr, "classes is null");
  for (int32_t label = 0; label < n_classes; ++label) {
    const pk_class_suppression& rules = classes[label];
    require(rules.limit >= 0.0F, criterion == Criterion::kIou ? "an IoU limit must be a number that is not negative"
                                                              : "a distance must be a number that is not negative");
    require(rules.score_above == rules.score_above, "a score limit must be a number");
    require(rules.candidates >= 0 && rules.kept >= 0, "the numbers of candidates and of kept boxes are not negative");
  }
}

pk_status nms(const char* name, const pk_execution* where, const Suppression& task, int32_t* kept, int64_t* count) {
  return guarded(name, [&] {
    require_boxes(task.boxes, task.n, task.columns, "boxes");
    require_array(task.scores, task.n, "scores");
    require_array(kept, task.n, "kept");
    require(count != nullptr, "count is null");
    require_rules(task.classes, task.n_classes, task.criterion);
    *count = 0;
    if (const Gpu gpu = gpu_of(where)) return PK_CUDA(cuda::suppress(gpu, task, kept, count));
    const int threads = std::min(useful_threads(cpu_threads(where), task.n, kSmallestShare), task.n_classes);
    *count = suppress(task, kept, threads);
  });
}

}  // namespace
}  // namespace pk::boxes

extern "C" {

pk_status pk_rotated_nms(const pk_execution* where, const float* boxes, int64_t n, int32_t columns, const float* scores,
                         const int32_t* labels, const pk_class_suppression* classes, int32_t n_classes, int32_t* kept,
                         int64_t* count) {
  using namespace pk::boxes;
  const Suppression task{boxes, scores, labels, n, columns, classes, n_classes, Criterion::kIou};
  return nms("rotated NMS", where, task, kept, count);
}

pk_status pk_circle_nms(const pk_execution* where, const float* boxes, int64_t n, int32_t columns, const float* scores,
                        const int32_t* labels, const pk_class_suppression* classes, int32_t n_classes, int32_t* kept,
                        int64_t* count) {
  using namespace pk::boxes;
  const Suppression task{boxes, scores, labels, n, columns, classes, n_classes, Criterion::kDistance};
  return nms("circle NMS", where, task, kept, count);
}
}
