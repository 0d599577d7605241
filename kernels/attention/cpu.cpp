#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "attention/cuda.hpp"
#include "attention/inner_loops.hpp"
#include "common/aligned_floats.hpp"
#include "common/call.hpp"
#include "common/dtype.hpp"
#include "common/gpu.hpp"
#include "common/indices.hpp"
#include "common/threads.hpp"
#include "half/loops.hpp"

namespace pk {
namespace {

constexpr int64_t kLargestGroup = 256;
constexpr int64_t kSmallestShare = 1 << 17;  // pairs of query and key, times channels, a thread
constexpr int64_t kMostFeatures = 1 << 16;   // floats of a group that are read at a time: what caches hold
constexpr float kLog2E = 1.44269504F;

// Which row each slot reads, and which it writes (-1: another slot holds the same token and writes it).
struct Slots {
  std::vector<int32_t> rows;
  std::vector<int32_t> targets;
};

Slots resolve_slots(const pk_attention& call) {
  Slots slots;
  slots.rows = rows_of_positions(call.order, call.n_tokens);
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

// What one thread works in: queries of some heads of a group, keys and values where they must be copied, and one block
// of queries.
struct Workspace {
  explicit Workspace(int64_t features)
      : heads(features), scores(kLargestGroup * kMostQueries), output(kMostChannels * kMostQueries) {}
  AlignedFloats heads, scores, output;
  int64_t k_begins[kLargestGroup], v_begins[kLargestGroup];
};

template <typename Stored>
class GroupAttention {
 public:
  GroupAttention(const pk_attention& call, const Slots& slots)
      : call_(call),
        slots_(slots),
        padded_((call.head_dim + 7) / 8 * 8),
        in_place_(attention_loops().in_place && call.order != nullptr && std::is_same_v<Stored, float> &&
                  padded_ == call.head_dim),
        keys_step_(call.group_size * padded_),
        queries_step_((call.group_size + kMostQueries - 1) / kMostQueries * kMostQueries * padded_),
        floats_of_head_(queries_step_ + (in_place_ ? 0 : 2 * keys_step_)),
        heads_(std::clamp<int64_t>(kMostFeatures / floats_of_head_, 1, call.heads)) {}

  Workspace workspace() const { return Workspace(heads_ * floats_of_head_); }

  void run(int64_t group, Workspace& work) const {
    const int64_t slot = group * call_.group_size;
    for (int64_t head = 0; head < call_.heads; head += heads_)
      attend_heads(slot, head, std::min<int64_t>(heads_, call_.heads - head), work);
  }

 private:
  void read(const void* features, int64_t stride, int64_t slot, int64_t head, int64_t heads, float scale, float* to,
            int64_t head_step) const {
    constexpr int kIndex = sizeof(Stored) == sizeof(float) ? 0 : 1;
    const auto* first = static_cast<const Stored*>(features) + head * call_.head_dim;
    attention_loops().read_heads[kIndex]({first, stride, slots_.rows.data() + slot, call_.group_size, heads,
                                          call_.head_dim, padded_, scale, to, head_step});
  }

  void attend_heads(int64_t slot, int64_t head, int64_t heads, Workspace& work) const {
    float* q = work.heads.data();
    float* room = q + heads_ * queries_step_;
    read(call_.q, call_.q_stride, slot, head, heads, call_.scale * kLog2E, q, queries_step_);
    GroupRows k = group_rows(call_.k, call_.k_stride, slot, head, heads, room, work.k_begins);
    GroupRows v = group_rows(call_.v, call_.v_stride, slot, head, heads, room + heads_ * keys_step_, work.v_begins);
    const int64_t step = in_place_ ? call_.head_dim : keys_step_;
    for (int64_t i = 0; i < heads; ++i, q += queries_step_, k.first += step, v.first += step) {
      std::fill(q + keys_step_, q + queries_step_, 0.0F);  // queries that fill up the last block
      attend_head(slot, head + i, q, k, v, work);
    }
  }

  // Keys or values from a head on. Floats that fill whole vectors stay where they lie, if they lie apart: to copy them
  // takes a tenth of the whole attention, and the second-level cache holds a group anyway. Rows in sequence are quick
  // to copy, and quicker to use side by side.
  GroupRows group_rows(const void* features, int64_t stride, int64_t slot, int64_t head, int64_t heads, float* room,
                       int64_t* begins) const {
    if (!in_place_) read(features, stride, slot, head, heads, 1.0F, room, keys_step_);
    for (int64_t i = 0; i < call_.group_size; ++i)
      begins[i] = in_place_ ? slots_.rows[static_cast<size_t>(slot + i)] * stride : i * padded_;
    return {in_place_ ? static_cast<const float*>(features) + head * call_.head_dim : room, begins};
  }

  void attend_head(int64_t slot, int64_t head, const float* q, GroupRows k, GroupRows v, Workspace& work) const {
    for (int64_t done = 0; done < call_.group_size;) {
      const int64_t rest = call_.group_size - done;
      const int64_t queries = rest > kMostQueries / 2 ? kMostQueries : kMostQueries / 2;
      attention_loops().attend[queries == kMostQueries ? 1 : 0](
          {q + done * padded_, k, v, call_.group_size, padded_, work.scores.data(), work.output.data()});
      write(slot + done, std::min(rest, queries), head, work.output.data());
      done += queries;
    }
  }

  void write(int64_t slot, int64_t count, int64_t head, const float* results) const {
    auto* output = static_cast<Stored*>(call_.output) + head * call_.head_dim;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t target = slots_.targets[static_cast<size_t>(slot + i)];
      if (target >= 0) write_row(results + i * padded_, output + target * call_.heads * call_.head_dim, call_.head_dim);
    }
  }

  const pk_attention& call_;
  const Slots& slots_;
  int64_t padded_;
  bool in_place_;
  int64_t keys_step_;
  int64_t queries_step_;
  int64_t floats_of_head_;
  int64_t heads_;  // read at a time
};

template <typename Stored>
void attend_all(const pk_attention& call, int threads) {
  const Slots slots = resolve_slots(call);
  const GroupAttention<Stored> attention(call, slots);
  const int64_t groups = call.n_slots / call.group_size;
  std::vector<Workspace> workspaces(static_cast<size_t>(threads), attention.workspace());
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int64_t group = 0; group < groups; ++group)
    attention.run(group, workspaces[static_cast<size_t>(thread_index())]);
}

void require_shape(const pk_attention& call) {
  require_rows(call.n_tokens, "tokens");
  require_rows(call.n_slots, "slots");
  require(call.heads >= 1 && call.heads <= 1024, "the number of heads must lie in 1..1024");
  require(call.head_dim >= 1 && call.head_dim <= kMostChannels, "head_dim must lie in 1..32");
  require(call.group_size >= 1 && call.group_size <= kLargestGroup, "group_size must lie in 1..256");
  require(call.n_slots % call.group_size == 0, "the number of slots must be a multiple of group_size");
  require(std::isfinite(call.scale), "scale must be finite");
  require_dtype(call.dtype);
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
