// Compiled once for each instruction set, with PK_SET its namespace. Nothing here may use an inline function of a
// library: the linker would keep one copy for all sets, perhaps one that this machine cannot run.
#include "common/vectors.hpp"
#include "devoxelize/weighted_rows.hpp"
#include "sparse_conv/panel_product.hpp"
#include "sparse_conv/tile_pairs.hpp"

namespace pk::PK_SET {

extern const Microkernels kernels;

#if defined(__AVX512F__)
const Microkernels kernels = {"avx512",
                              32,
                              collect,
                              {product<8, 1, 8>, product<16, 1, 8>, product<16, 2, 8>},
                              {outer_product<8, 1, 8>, outer_product<16, 1, 8>, outer_product<16, 2, 8>},
                              weighted_rows<16>};
#elif defined(__AVX2__)
const Microkernels kernels = {"avx2",
                              16,
                              collect,
                              {product<8, 1, 8>, product<8, 2, 6>, nullptr},
                              {outer_product<8, 1, 8>, outer_product<8, 2, 6>, nullptr},
                              weighted_rows<8>};
#elif defined(__aarch64__)
const Microkernels kernels = {"neon",
                              16,
                              collect,
                              {product<4, 2, 8>, product<4, 4, 6>, nullptr},
                              {outer_product<4, 2, 8>, outer_product<4, 4, 6>, nullptr},
                              weighted_rows<4>};
#else
const Microkernels kernels = {
    "baseline",      8, collect, {product<4, 2, 6>, nullptr, nullptr}, {outer_product<4, 2, 6>, nullptr, nullptr},
    weighted_rows<4>};
#endif

}  // namespace pk::PK_SET
