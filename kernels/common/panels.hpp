// Weights cut into panels of output channels, padded with zeros so that the inner loops need no masks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "perception_kernels.h"

namespace pk {

struct Panel {
  int64_t begin;  // first output channel
  int width;      // 8, 16 or 32: as many sums a row
  int used;       // channels that exist; the rest is padding
};

constexpr int panel_index(int width) { return width == 8 ? 0 : width == 16 ? 1 : 2; }

// Cut c_out channels into panels no wider than widest, with little padding.
std::vector<Panel> cut_panels(int64_t c_out, int widest);

// The sums of a row in all panels.
inline int64_t sums_of_row(const std::vector<Panel>& panels) { return panels.back().begin + panels.back().width; }

// Weights [volume, c_in, c_out] as a caller passes them; `transposed`: they are stored [volume, c_out, c_in].
struct Weights {
  const void* data;
  int32_t dtype;  // pk_dtype
  int64_t volume;
  int64_t c_in;
  int64_t c_out;
  bool transposed;
};

// The same as floats [panel][volume][c_in][width]. Packing at every call takes 1.4 % of the convolutions of an SPVCNN
// of width 0.235 on 29,000 voxels, and 0.2 % of a full-size one: too little for handles that a caller would have to
// keep.
class PackedWeights {
 public:
  PackedWeights(const Weights& weights, const std::vector<Panel>& panels, int threads);

  const float* at(std::size_t panel, int64_t k) const { return data_.get() + begins_[panel] + k * steps_[panel]; }

 private:
  // Vectors that cross cache lines cost twice.
  struct Delete {
    void operator()(float* data) const { ::operator delete[](data, std::align_val_t{64}); }
  };

  void pack(const Weights& weights, const std::vector<Panel>& panels, int64_t k, float* room);
  void pack_row(const std::vector<Panel>& panels, int64_t k, int64_t c, const float* row);
  void pack_column(const std::vector<Panel>& panels, int64_t k, int64_t channel, int64_t c_in, const float* column);

  std::unique_ptr<float[], Delete> data_;
  std::vector<int64_t> begins_, steps_;
};

}  // namespace pk
