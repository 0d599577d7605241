// Weights cut into panels of output channels, padded with zeros so that the inner loops need no masks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "perception_kernels.h"

namespace pk {

struct Panel {
  int64_t begin;  // first output channel
  int width;      // 8, 16 or 32: as many sums a row
  int used;       // channels that exist; the rest is padding
};

// Cut c_out channels into panels no wider than widest, with little padding.
std::vector<Panel> cut_panels(int64_t c_out, int widest);

// Weights [volume, c_in, c_out] of any dtype as floats [panel][volume][c_in][width]; `transposed`: they are stored
// [volume, c_out, c_in].
class PackedWeights {
 public:
  PackedWeights(const pk_convolution& layer, const std::vector<Panel>& panels, int threads);

  const float* at(std::size_t panel, int64_t k) const { return data_.get() + begins_[panel] + k * steps_[panel]; }

 private:
  void pack(const pk_convolution& layer, const std::vector<Panel>& panels, int64_t k, float* room);
  void pack_row(const std::vector<Panel>& panels, int64_t k, int64_t c, const float* row);
  void pack_column(const std::vector<Panel>& panels, int64_t k, int64_t channel, int64_t c_in, const float* column);

  std::unique_ptr<float[]> data_;
  std::vector<int64_t> begins_, steps_;
};

}  // namespace pk
