#include <algorithm>
#include <vector>

#include "common/aligned_floats.hpp"
#include "common/dtype.hpp"
#include "common/gpu.hpp"
#include "common/indices.hpp"
#include "common/threads.hpp"
#include "sequence/cuda.hpp"
#include "sequence/inner_loops.hpp"

namespace pk {
namespace {

constexpr int64_t kTile = 128;               // positions whose results are computed at a time
constexpr int64_t kSmallestShare = 1 << 15;  // gated elements a thread
constexpr int32_t kMostChannels = 4096;
constexpr int32_t kMostTaps = 31;

std::vector<cuda::Stretch> stretches_of(const pk_sequence& call) {
  std::vector<cuda::Stretch> stretches;
  int64_t position = 0;
  for (int64_t i = 0; i < call.n_sequences; ++i) {
    require(call.counts[i] >= 0 && call.counts[i] <= call.n_tokens - position, "counts must add up to the tokens");
    if (call.counts[i] > 0) stretches.push_back({position, call.counts[i]});
    position += call.counts[i];
  }
  require(position == call.n_tokens, "counts must add up to the tokens");
  return stretches;
}

// The positions begin to end of a stretch.
struct Tile {
  cuda::Stretch stretch;
  int64_t begin;
  int64_t end;
};

std::vector<Tile> tiles_of(const std::vector<cuda::Stretch>& stretches) {
  std::vector<Tile> tiles;
  for (const cuda::Stretch& stretch : stretches)
    for (int64_t begin = 0; begin < stretch.tokens; begin += kTile)
      tiles.push_back({stretch, stretch.position + begin, stretch.position + std::min(begin + kTile, stretch.tokens)});
  return tiles;
}

// `room` is for the gated rows of the tile and of as many positions around it as the kernel reaches.
void convolve_tile(const pk_sequence& call, const std::vector<int32_t>& rows, const Tile& tile, float* room) {
  const int64_t reach = call.kernel_size / 2;
  const int64_t first = std::max(tile.begin - reach, tile.stretch.position);
  const int64_t last = std::min(tile.end + reach, tile.stretch.position + tile.stretch.tokens);
  float* gated = room + (first - tile.begin + reach) * call.channels;
  float* behind = gated + (last - first) * call.channels;
  std::fill(room, gated, 0.0F);
  sequence_loops().gate[call.dtype]({call.gated, rows.data() + first, last - first, call.channels, gated});
  std::fill(behind, behind + (tile.end + reach - last) * call.channels, 0.0F);
  sequence_loops().convolve[call.dtype]({room, call.kernel, call.kernel_size, rows.data() + tile.begin,
                                         tile.end - tile.begin, call.channels, call.output});
}

void convolve(const pk_sequence& call, const std::vector<cuda::Stretch>& stretches, int threads) {
  const std::vector<int32_t> rows = rows_of_positions(call.order, call.n_tokens);
  const std::vector<Tile> tiles = tiles_of(stretches);
  const int64_t room = (kTile + call.kernel_size) * call.channels;
  std::vector<AlignedFloats> rooms(static_cast<size_t>(threads), AlignedFloats(room));
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (size_t tile = 0; tile < tiles.size(); ++tile)
    convolve_tile(call, rows, tiles[tile], rooms[static_cast<size_t>(thread_index())].data());
}

void require_sequence(const pk_sequence* call) {
  require(call != nullptr, "call is null");
  require_rows(call->n_tokens, "tokens");
  require(call->channels >= 1 && call->channels <= kMostChannels, "channels must lie in 1..4096");
  require(call->kernel_size >= 1 && call->kernel_size <= kMostTaps && call->kernel_size % 2 == 1,
          "kernel_size must be odd and lie in 1..31");
  require_dtype(call->dtype);
  require_array(call->gated, call->n_tokens, "gated");
  require_array(call->counts, call->n_sequences, "counts");
  require_array(call->kernel, 1, "kernel");
  require_array(call->output, call->n_tokens, "output");
}

}  // namespace
}  // namespace pk

extern "C" pk_status pk_sequence_convolution(const pk_execution* where, const pk_sequence* call) {
  return pk::guarded("sequence convolution", [&] {
    pk::require_sequence(call);
    const auto stretches = pk::stretches_of(*call);
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::sequence_convolution(gpu, *call, stretches));
    const int64_t work = call->n_tokens * call->channels;
    pk::convolve(*call, stretches, pk::useful_threads(pk::cpu_threads(where), work, pk::kSmallestShare));
  });
}
