// From what a call asks for to the kernel that was compiled for it.
#pragma once

#include "sparse_conv/dataflows.hpp"
#include "sparse_conv/tile_product.cuh"

namespace pk::cuda {

template <typename Body>
void with_arithmetic(const Choice& choice, const Body& body) {
  if (choice.dtype == PK_FLOAT32) return body(Multiplications<float>{});
  if (choice.tensor_cores) return body(TensorCores{});
  body(Multiplications<Half>{});
}

template <typename Body>
void with_tile(const Choice& choice, const Body& body) {
  if (choice.tile_rows == 128) return body(Tile<128, 128>{});
  if (choice.tile_columns == 32) return body(Tile<64, 32>{});
  if (choice.tile_columns == 96) return body(Tile<64, 96>{});
  body(Tile<64, 64>{});
}

}  // namespace pk::cuda
