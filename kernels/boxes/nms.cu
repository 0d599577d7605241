#include <algorithm>

#include "boxes/cuda.hpp"
#include "boxes/prepared_box.hpp"
#include "boxes/ranking.hpp"
#include "common/bits.hpp"
#include "common/cuda.cuh"
#include "common/radix_sort.cuh"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWord = 64;  // candidates that one word of the bit matrix tells about

using boxes::PreparedBox;

// Class, then falling score. Boxes that do not take part are of a class behind the last.
__global__ void make_keys(boxes::Suppression task, const pk_class_suppression* classes, uint64_t* keys, int32_t* rows) {
  const int64_t i = global_index();
  if (i >= task.n) return;
  const int32_t label = task.labels == nullptr ? 0 : task.labels[i];
  const bool exists = label >= 0 && label < task.n_classes;
  const bool takes_part = exists && task.scores[i] > classes[label].score_above;
  const uint32_t order = takes_part ? ~boxes::rank_of(task.scores[i]) : 0U;
  keys[i] = static_cast<uint64_t>(takes_part ? label : task.n_classes) << 32 | order;
  rows[i] = static_cast<int32_t>(i);
}

// Where each class begins among the sorted boxes, and among the candidates: [n_classes + 1] each.
struct ClassBegins {
  int32_t* sorted;
  int32_t* candidates;
};

__global__ void find_classes(const uint64_t* keys, int64_t n, const pk_class_suppression* classes, int32_t n_classes,
                             ClassBegins begins) {
  for (int32_t label = static_cast<int32_t>(threadIdx.x); label <= n_classes; label += kThreads) {
    int64_t low = 0;
    int64_t high = n;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (keys[middle] < static_cast<uint64_t>(label) << 32)
        low = middle + 1;
      else
        high = middle;
    }
    begins.sorted[label] = static_cast<int32_t>(low);
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  begins.candidates[0] = 0;
  for (int32_t label = 0; label < n_classes; ++label)
    begins.candidates[label + 1] =
        begins.candidates[label] + min(begins.sorted[label + 1] - begins.sorted[label], classes[label].candidates);
}

// In the order in which they are looked at.
struct Candidates {
  PreparedBox* boxes;
  int32_t* rows;
  int32_t* labels;
};

__global__ void gather_candidates(boxes::Suppression task, const pk_class_suppression* classes, const uint64_t* keys,
                                  const int32_t* rows, ClassBegins begins, Candidates candidates) {
  const int64_t i = global_index();
  if (i >= task.n) return;
  const auto label = static_cast<int32_t>(keys[i] >> 32);
  if (label >= task.n_classes) return;
  const int64_t place = i - begins.sorted[label];
  if (place >= classes[label].candidates) return;
  const int64_t to = begins.candidates[label] + place;
  candidates.boxes[to] = boxes::prepare(task.boxes + int64_t{rows[i]} * task.columns);
  candidates.rows[to] = rows[i];
  candidates.labels[to] = label;
}

__device__ bool conflict(const PreparedBox& better, const PreparedBox& other, float limit, boxes::Criterion criterion) {
  if (criterion == boxes::Criterion::kIou) return boxes::iou(better, other, false) > limit;
  return boxes::within_reach(other.footprint.x - better.footprint.x, other.footprint.y - better.footprint.y, limit);
}

// Bit k of word w in row i: candidate i, if it is kept, removes candidate 64 w + k. Words left of the diagonal are not
// written, nor ever read.
__global__ void find_conflicts(Candidates candidates, const int32_t* total, const pk_class_suppression* classes,
                               boxes::Criterion criterion, int64_t words, uint64_t* conflicts) {
  __shared__ PreparedBox others[kWord];
  __shared__ int32_t labels[kWord];
  const int count = *total;
  const int thread = static_cast<int>(threadIdx.x);
  const int first = static_cast<int>(blockIdx.x) * kWord;
  const int row = static_cast<int>(blockIdx.y) * kWord + thread;
  const bool needed = blockIdx.x >= blockIdx.y && first < count;
  if (needed && first + thread < count) {
    others[thread] = candidates.boxes[first + thread];
    labels[thread] = candidates.labels[first + thread];
  }
  __syncthreads();
  if (!needed || row >= count) return;
  const PreparedBox box = candidates.boxes[row];
  const int32_t label = candidates.labels[row];
  const float limit = classes[label].limit;
  uint64_t bits = 0;
  for (int k = max(row + 1 - first, 0); k < min(kWord, count - first); ++k)
    if (labels[k] == label && conflict(box, others[k], limit, criterion)) bits |= uint64_t{1} << k;
  conflicts[row * words + static_cast<int64_t>(blockIdx.x)] = bits;
}

struct Kept {
  int32_t* rows;
  int32_t* count;
};

// Look at 64 candidates after the other: who of them stays (one thread), and whom those remove (all threads).
__global__ void keep_best(Candidates candidates, const int32_t* total, const pk_class_suppression* classes,
                          int64_t words, const uint64_t* conflicts, uint64_t* removed, Kept kept) {
  __shared__ uint64_t own_conflicts[kWord];
  __shared__ int32_t labels[kWord];
  __shared__ uint64_t stays;
  const int count = *total;
  const int used_words = (count + kWord - 1) / kWord;
  const int thread = static_cast<int>(threadIdx.x);
  int n_kept = 0;  // these three are of the first thread
  int n_of_class = 0;
  int32_t last_label = -1;
  for (int word = 0; word < used_words; ++word) {
    const int first = word * kWord;
    const int here = min(kWord, count - first);
    if (thread < here) {
      own_conflicts[thread] = conflicts[(first + thread) * words + word];
      labels[thread] = candidates.labels[first + thread];
    }
    __syncthreads();
    if (thread == 0) {
      uint64_t gone = removed[word];
      uint64_t staying = 0;
      for (int k = 0; k < here; ++k) {
        if (labels[k] != last_label) n_of_class = 0;
        last_label = labels[k];
        if ((gone >> k & 1U) != 0 || n_of_class >= classes[last_label].kept) continue;
        ++n_of_class;
        kept.rows[n_kept++] = candidates.rows[first + k];
        gone |= own_conflicts[k];
        staying |= uint64_t{1} << k;
      }
      stays = staying;
    }
    __syncthreads();
    for (int later = word + 1 + thread; later < used_words; later += kThreads) {
      uint64_t gone = removed[later];
      for (int k = 0; k < here; ++k)
        if ((stays >> k & 1U) != 0) gone |= conflicts[(first + k) * words + later];
      removed[later] = gone;
    }
    __syncthreads();
  }
  if (thread == 0) *kept.count = n_kept;
}

// The most candidates that there can be, so far as the CPU knows.
int64_t most_candidates(const boxes::Suppression& task) {
  int64_t sum = 0;
  for (int32_t label = 0; label < task.n_classes; ++label)
    sum += std::min<int64_t>(task.classes[label].candidates, task.n);
  return std::min(sum, task.n);
}

}  // namespace

void suppress(const Gpu& gpu, const boxes::Suppression& task, int32_t* kept_rows, int64_t* count) {
  const int64_t most = most_candidates(task);
  require(most <= boxes::kMostCandidatesOnGpu, "more than 32768 boxes take part on a GPU: limit the candidates");
  if (most == 0) return;
  const Sizes sizes = {{"boxes", task.n}, {"classes", task.n_classes}, {"candidates", most}};
  const Scratch<pk_class_suppression> classes(gpu, task.n_classes);
  copy_to_device(gpu, classes.data(), task.classes, task.n_classes * static_cast<int64_t>(sizeof(*task.classes)));

  const Scratch<uint64_t> keys(gpu, task.n);
  const Scratch<int32_t> rows(gpu, task.n);
  const unsigned all = blocks(task.n, kThreads);
  launch(gpu, sizes, make_keys, all, kThreads, 0, task, classes.data(), keys.data(), rows.data());
  sort_pairs(gpu, keys.data(), rows.data(), task.n, 32 + bits_of(task.n_classes));

  const Scratch<int32_t> begins_memory(gpu, 2 * (int64_t{task.n_classes} + 1));
  const ClassBegins begins = {begins_memory.data(), begins_memory.data() + task.n_classes + 1};
  launch(gpu, sizes, find_classes, 1, kThreads, 0, keys.data(), task.n, classes.data(), task.n_classes, begins);
  const Scratch<PreparedBox> prepared(gpu, most);
  const Scratch<int32_t> candidate_memory(gpu, 2 * most);
  const Candidates candidates = {prepared.data(), candidate_memory.data(), candidate_memory.data() + most};
  launch(gpu, sizes, gather_candidates, all, kThreads, 0, task, classes.data(), keys.data(), rows.data(), begins,
         candidates);

  const unsigned words = blocks(most, kWord);
  const int32_t* total = begins.candidates + task.n_classes;
  const Scratch<uint64_t> conflicts(gpu, most * words);
  const Scratch<uint64_t> removed(gpu, words);
  const Scratch<int32_t> n_kept(gpu, 1);
  fill_bytes(gpu, removed.data(), 0, int64_t{words} * static_cast<int64_t>(sizeof(uint64_t)));
  launch(gpu, sizes, find_conflicts, dim3(words, words), kWord, 0, candidates, total, classes.data(), task.criterion,
         words, conflicts.data());
  launch(gpu, sizes, keep_best, 1, kThreads, 0, candidates, total, classes.data(), words, conflicts.data(),
         removed.data(), Kept{kept_rows, n_kept.data()});
  int32_t counted = 0;
  copy_to_host(gpu, &counted, n_kept.data(), sizeof(counted));
  *count = counted;
}

}  // namespace pk::cuda
