#include "sparse_conv/panels.hpp"

#include <algorithm>

namespace pk {
namespace {

// 17 to 24 channels are cheaper as 16 + 8 than as 32.
int next_width(int64_t rest, int widest) {
  const int width = rest > 24 ? 32 : rest > 8 ? 16 : 8;
  return std::min(width, widest);
}

void pack_panel(const float* weight, int64_t c_in, int64_t c_out, bool transposed, const Panel& panel, float* out) {
  for (int64_t c = 0; c < c_in; ++c, out += panel.width)
    for (int64_t d = 0; d < panel.used; ++d)
      out[d] = transposed ? weight[(panel.begin + d) * c_in + c] : weight[c * c_out + panel.begin + d];
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

PackedWeights::PackedWeights(const float* weight, int64_t volume, int64_t c_in, int64_t c_out, bool transposed,
                             const std::vector<Panel>& panels, int threads) {
  int64_t size = 0;
  for (const Panel& panel : panels) {
    begins_.push_back(size);
    steps_.push_back(c_in * panel.width);
    size += volume * c_in * panel.width;
  }
  data_.resize(static_cast<size_t>(size));
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t k = 0; k < volume; ++k)
    for (size_t p = 0; p < panels.size(); ++p)
      pack_panel(weight + k * c_in * c_out, c_in, c_out, transposed, panels[p],
                 data_.data() + begins_[p] + k * steps_[p]);
}

}  // namespace pk
