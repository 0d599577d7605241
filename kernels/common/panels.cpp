#include "common/panels.hpp"

#include <algorithm>

#include "common/threads.hpp"
#include "half/loops.hpp"

namespace pk {
namespace {

// 17 to 24 channels are cheaper as 16 + 8 than as 32.
int next_width(int64_t rest, int widest) {
  const int width = rest > 24 ? 32 : rest > 8 ? 16 : 8;
  return std::min(width, widest);
}

}  // namespace

std::vector<Panel> cut_panels(int64_t c_out, int widest) {
  std::vector<Panel> panels;
  for (int64_t begin = 0; begin < c_out;) {
    const int width = next_width(c_out - begin, widest);
    panels.push_back({begin, width, static_cast<int>(std::min<int64_t>(width, c_out - begin))});
    begin += width;
  }
  return panels;
}

PackedWeights::PackedWeights(const Weights& weights, const std::vector<Panel>& panels, int threads) {
  int64_t size = 0;
  for (const Panel& panel : panels) {
    begins_.push_back(size);
    steps_.push_back(weights.c_in * panel.width);
    size += weights.volume * steps_.back();
  }
  // Every cell is written below, first by the thread that packs it.
  data_.reset(static_cast<float*>(::operator new[](static_cast<size_t>(size) * sizeof(float), std::align_val_t{64})));
  const size_t row = static_cast<size_t>(std::max(weights.c_in, weights.c_out));
  std::vector<float> room(static_cast<size_t>(threads) * row);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t k = 0; k < weights.volume; ++k)
    pack(weights, panels, k, room.data() + static_cast<size_t>(thread_index()) * row);
}

void PackedWeights::pack(const Weights& weights, const std::vector<Panel>& panels, int64_t k, float* room) {
  const int64_t rows = weights.transposed ? weights.c_out : weights.c_in;
  const int64_t columns = weights.transposed ? weights.c_in : weights.c_out;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t begin = (k * rows + r) * columns;
    const float* row = static_cast<const float*>(weights.data) + begin;
    if (weights.dtype == PK_FLOAT16) {
      read_row(static_cast<const Half*>(weights.data) + begin, room, columns);
      row = room;
    }
    if (weights.transposed)
      pack_column(panels, k, r, columns, row);
    else
      pack_row(panels, k, r, row);
  }
  if (weights.transposed)  // the padding of the last panel
    for (int64_t d = weights.c_out; d < sums_of_row(panels); ++d) pack_column(panels, k, d, weights.c_in, nullptr);
}

void PackedWeights::pack_row(const std::vector<Panel>& panels, int64_t k, int64_t c, const float* row) {
  for (size_t p = 0; p < panels.size(); ++p) {
    float* out = data_.get() + begins_[p] + k * steps_[p] + c * panels[p].width;
    std::copy_n(row + panels[p].begin, panels[p].used, out);
    std::fill(out + panels[p].used, out + panels[p].width, 0.0F);
  }
}

// Output channel `channel` of weight k for all input channels; zeros without a column.
void PackedWeights::pack_column(const std::vector<Panel>& panels, int64_t k, int64_t channel, int64_t c_in,
                                const float* column) {
  size_t p = 0;
  while (channel >= panels[p].begin + panels[p].width) ++p;
  float* out = data_.get() + begins_[p] + k * steps_[p] + channel - panels[p].begin;
  for (int64_t c = 0; c < c_in; ++c, out += panels[p].width) *out = column != nullptr ? column[c] : 0.0F;
}

}  // namespace pk
