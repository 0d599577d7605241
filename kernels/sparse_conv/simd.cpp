#include "common/vectors.hpp"
#include "sparse_conv/inner_loops.hpp"
#include "sparse_conv/panel_product.hpp"
#include "sparse_conv/stored_rows.hpp"
#include "sparse_conv/tile_pairs.hpp"

namespace pk::PK_SET {

#if defined(__AVX512F__)
const ConvolutionLoops convolution_loops = {32,
                                            collect,
                                            {product<8, 1, 8>, product<16, 1, 8>, product<16, 2, 8>},
                                            {outer_product<8, 1, 8>, outer_product<16, 1, 8>, outer_product<16, 2, 8>},
                                            {finish<16, float>, finish<16, Half>},
                                            {gather<16, float>, gather<16, Half>}};
#elif defined(__AVX2__)
const ConvolutionLoops convolution_loops = {16,
                                            collect,
                                            {product<8, 1, 8>, product<8, 2, 6>, nullptr},
                                            {outer_product<8, 1, 8>, outer_product<8, 2, 6>, nullptr},
                                            {finish<8, float>, finish<8, Half>},
                                            {gather<8, float>, gather<8, Half>}};
#elif defined(__aarch64__)
const ConvolutionLoops convolution_loops = {16,
                                            collect,
                                            {product<4, 2, 8>, product<4, 4, 6>, nullptr},
                                            {outer_product<4, 2, 8>, outer_product<4, 4, 6>, nullptr},
                                            {finish<4, float>, finish<4, Half>},
                                            {gather<4, float>, gather<4, Half>}};
#else
const ConvolutionLoops convolution_loops = {8,
                                            collect,
                                            {product<4, 2, 6>, nullptr, nullptr},
                                            {outer_product<4, 2, 6>, nullptr, nullptr},
                                            {finish<4, float>, finish<4, Half>},
                                            {gather<4, float>, gather<4, Half>}};
#endif

}  // namespace pk::PK_SET
