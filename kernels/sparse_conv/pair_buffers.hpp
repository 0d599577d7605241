// Room for the pairs of one tile of output rows.
#pragma once

#include <cstdint>
#include <vector>

#include "sparse_conv/inner_loops.hpp"

namespace pk {

struct PairBuffers {
  PairBuffers(int64_t volume, int64_t rows)
      : tile(rows),
        inputs(static_cast<size_t>(volume * rows)),
        outputs(inputs.size()),
        counts(static_cast<size_t>(volume)) {}

  // Take the pairs of rows begin..end of a table; false where an input row does not exist.
  bool collect(const int32_t* table, int64_t begin, int64_t end, int64_t n_in) {
    const auto volume = static_cast<int64_t>(counts.size());
    return convolution_loops().collect(
        {table + begin * volume, end - begin, volume, n_in, tile, inputs.data(), outputs.data(), counts.data()});
  }

  int64_t tile;
  std::vector<int32_t> inputs, outputs;  // of weight k at k * tile; outputs count from the tile's first row
  std::vector<int64_t> counts;
};

}  // namespace pk
