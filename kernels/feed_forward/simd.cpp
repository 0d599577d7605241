#include "common/vectors.hpp"
#include "feed_forward/dense_product.hpp"
#include "feed_forward/finish_row.hpp"
#include "feed_forward/inner_loops.hpp"

namespace pk::PK_SET {

#if defined(__AVX512F__)
const FeedForwardLoops feed_forward_loops = {32, dense_product<16, 2, 12>, finish_row<16>};
#elif defined(__AVX2__)
const FeedForwardLoops feed_forward_loops = {16, dense_product<8, 2, 6>, finish_row<8>};
#elif defined(__aarch64__)
const FeedForwardLoops feed_forward_loops = {16, dense_product<4, 4, 6>, finish_row<4>};
#else
const FeedForwardLoops feed_forward_loops = {8, dense_product<4, 2, 6>, finish_row<4>};
#endif

}  // namespace pk::PK_SET
