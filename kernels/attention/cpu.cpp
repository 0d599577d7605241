#include <algorithm>
#include <cmath>
#include <vector>

#include "attention/cuda.hpp"
#include "attention/inner_loops.hpp"
#include "common/call.hpp"
#include "common/dtype.hpp"
#include "common/gpu.hpp"
#include "common/threads.hpp"
#include "half/loops.hpp"

namespace pk {
namespace {

constexpr int64_t kLargestGroup = 256;
constexpr int64_t kLargestHead = 32;
constexpr int64_t kLanes = 16;               // queries of a block; the last one may have half as many
constexpr int64_t kSmallestShare = 1 << 17;  // pairs of query and key, times channels, a thread
constexpr size_t kCacheLine = 64;
constexpr float kLog2E = 1.44269504F;

// Which row each slot reads, and which it writes (-1: another slot holds the same token and writes it).
struct Slots {
  std::vector<int32_t> rows;
  std::vector<int32_t> targets;
};

std::vector<int32_t> rows_of_positions(const pk_attention& call) {
  std::vector<int32_t> rows(static_cast<size_t>(call.n_tokens));
  std::vector<bool> seen(rows.size());
  for (size_t position = 0; position < rows.size(); ++position) {
    rows[position] = call.order != nullptr ? call.order[position] : static_cast<int32_t>(position);
    require(rows[position] >= 0 && rows[position] < call.n_tokens && !seen[static_cast<size_t>(rows[position])],
            "order must hold every row once");
    seen[static_cast<size_t>(rows[position])] = true;
  }
  return rows;
}

Slots resolve_slots(const pk_attention& call) {
  Slots slots;
  slots.rows = rows_of_positions(call);
  slots.targets = slots.rows;
  if (call.flat2win == nullptr) return slots;
  const std::vector<int32_t> rows = std::move(slots.rows);
  slots.rows.resize(static_cast<size_t>(call.n_slots));
  slots.targets.assign(slots.rows.size(), -1);
  for (size_t slot = 0; slot < slots.rows.size(); ++slot) {
    const int32_t position = call.flat2win[slot];
    require(position >= 0 && position < call.n_tokens, "flat2win names a position that does not exist");
    slots.rows[slot] = rows[static_cast<size_t>(position)];
  }
  for (size_t position = 0; position < rows.size(); ++position) {
    const int32_t slot = call.win2flat[position];
    require(slot >= 0 && slot < call.n_slots && call.flat2win[slot] == static_cast<int32_t>(position),
            "win2flat must name a slot that holds the position");
    slots.targets[static_cast<size_t>(slot)] = rows[position];
  }
  return slots;
}

// What one thread works in: keys and values of one head of a group, and one block of queries. Vectors that cross cache
// lines would cost half of the speed, hence the alignment.
struct Workspace {
  alignas(64) float q[kLargestHead * kLanes];
  alignas(64) float scores[kLargestGroup * kLanes];
  alignas(64) float output[kLargestHead * kLanes];
  alignas(64) float k[kLargestGroup * kLargestHead] = {};  // the padding has to be finite
  alignas(64) float v[kLargestGroup * kLargestHead] = {};
  float row[kLargestHead];
};

template <typename Stored>
class GroupAttention {
 public:
  GroupAttention(const pk_attention& call, const Slots& slots)
      : call_(call), slots_(slots), padded_((call.head_dim + 7) / 8 * 8), width_(int64_t{call.heads} * call.head_dim) {}

  void run(int64_t group, int64_t head, Workspace& work) const {
    const int64_t first = group * call_.group_size;
    const int64_t channel = head * call_.head_dim;
    for (int64_t i = 0; i < call_.group_size; ++i) {
      const int64_t row = slots_.rows[static_cast<size_t>(first + i)];
      read(call_.k, row * call_.k_stride + channel, work.k + i * padded_);
      read(call_.v, row * call_.v_stride + channel, work.v + i * padded_);
    }
    for (int64_t done = 0; done < call_.group_size;) {
      const int64_t rest = call_.group_size - done;
      const int64_t lanes = rest > kLanes / 2 ? kLanes : kLanes / 2;
      attend_block(first + done, std::min(rest, lanes), lanes, channel, work);
      done += lanes;
    }
  }

 private:
  // One head of a row. The next head's part of it is fetched ahead: rows lie too far apart for the processor to guess.
  void read(const void* rows, int64_t at, float* to) const {
    const Stored* from = static_cast<const Stored*>(rows) + at;
    __builtin_prefetch(from + call_.head_dim);
    if (call_.head_dim * sizeof(Stored) > kCacheLine)
      __builtin_prefetch(from + call_.head_dim + kCacheLine / sizeof(Stored));
    read_row(from, to, call_.head_dim);
  }

  void attend_block(int64_t slot, int64_t used, int64_t lanes, int64_t channel, Workspace& work) const {
    const float scale = call_.scale * kLog2E;
    for (int64_t lane = 0; lane < used; ++lane) {
      const int64_t row = slots_.rows[static_cast<size_t>(slot + lane)];
      read(call_.q, row * call_.q_stride + channel, work.row);
      for (int64_t c = 0; c < call_.head_dim; ++c) work.q[c * lanes + lane] = scale * work.row[c];
    }
    attention_loops().attend[lanes == kLanes ? 1 : 0](
        {work.q, work.k, work.v, call_.group_size, padded_, work.scores, work.output});
    for (int64_t lane = 0; lane < used; ++lane) {
      const int64_t target = slots_.targets[static_cast<size_t>(slot + lane)];
      if (target < 0) continue;
      write_row(work.output + lane * padded_, static_cast<Stored*>(call_.output) + target * width_ + channel,
                call_.head_dim);
    }
  }

  const pk_attention& call_;
  const Slots& slots_;
  int64_t padded_;
  int64_t width_;
};

template <typename Stored>
void attend_all(const pk_attention& call, int threads) {
  const Slots slots = resolve_slots(call);
  const GroupAttention<Stored> attention(call, slots);
  const int64_t groups = call.n_slots / call.group_size;
  std::vector<Workspace> workspaces(static_cast<size_t>(threads));
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int64_t group = 0; group < groups; ++group) {
    Workspace& mine = workspaces[static_cast<size_t>(thread_index())];
    for (int64_t head = 0; head < call.heads; ++head) attention.run(group, head, mine);
  }
}

void require_shape(const pk_attention& call) {
  require_rows(call.n_tokens, "tokens");
  require_rows(call.n_slots, "slots");
  require(call.heads >= 1 && call.heads <= 1024, "the number of heads must lie in 1..1024");
  require(call.head_dim >= 1 && call.head_dim <= kLargestHead, "head_dim must lie in 1..32");
  require(call.group_size >= 1 && call.group_size <= kLargestGroup, "group_size must lie in 1..256");
  require(call.n_slots % call.group_size == 0, "the number of slots must be a multiple of group_size");
  require(std::isfinite(call.scale), "scale must be finite");
  require(call.dtype == PK_FLOAT32 || call.dtype == PK_FLOAT16, "dtype must be PK_FLOAT32 or PK_FLOAT16");
  const int64_t width = int64_t{call.heads} * call.head_dim;
  require(std::min({call.q_stride, call.k_stride, call.v_stride}) >= width, "a stride is shorter than a row");
  require(std::max({call.q_stride, call.k_stride, call.v_stride}) <= INT32_MAX, "a stride is too large");
}

void require_attention(const pk_attention* call) {
  require(call != nullptr, "call is null");
  require_shape(*call);
  require_array(call->q, call->n_tokens, "q");
  require_array(call->k, call->n_tokens, "k");
  require_array(call->v, call->n_tokens, "v");
  require_array(call->output, call->n_tokens, "output");
  if (call->flat2win == nullptr)
    require(call->n_slots == call->n_tokens, "without flat2win there must be as many slots as tokens");
  else
    require_array(call->win2flat, call->n_tokens, "win2flat");
}

}  // namespace
}  // namespace pk

extern "C" pk_status pk_group_attention(const pk_execution* where, const pk_attention* call) {
  return pk::guarded("group attention", [&] {
    pk::require_attention(call);
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::group_attention(gpu, *call));
    const int64_t work = call->n_slots * call->group_size * call->heads * call->head_dim;
    const int threads = pk::useful_threads(pk::cpu_threads(where), work, pk::kSmallestShare);
    pk::with_stored(call->dtype, [&](auto stored) { pk::attend_all<decltype(stored)>(*call, threads); });
  });
}
