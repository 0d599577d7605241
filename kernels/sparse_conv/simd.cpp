#include "common/vectors.hpp"
#include "sparse_conv/inner_loops.hpp"
#include "sparse_conv/panel_product.hpp"
#include "sparse_conv/tile_pairs.hpp"

namespace pk::PK_SET {

#if defined(__AVX512F__)
const ConvolutionLoops convolution_loops = {32,
                                            collect,
                                            {product<8, 1, 8>, product<16, 1, 8>, product<16, 2, 8>},
                                            {outer_product<8, 1, 8>, outer_product<16, 1, 8>, outer_product<16, 2, 8>}};
#elif defined(__AVX2__)
const ConvolutionLoops convolution_loops = {16,
                                            collect,
                                            {product<8, 1, 8>, product<8, 2, 6>, nullptr},
                                            {outer_product<8, 1, 8>, outer_product<8, 2, 6>, nullptr}};
#elif defined(__aarch64__)
const ConvolutionLoops convolution_loops = {16,
                                            collect,
                                            {product<4, 2, 8>, product<4, 4, 6>, nullptr},
                                            {outer_product<4, 2, 8>, outer_product<4, 4, 6>, nullptr}};
#else
const ConvolutionLoops convolution_loops = {
    8, collect, {product<4, 2, 6>, nullptr, nullptr}, {outer_product<4, 2, 6>, nullptr, nullptr}};
#endif

}  // namespace pk::PK_SET
