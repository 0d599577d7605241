#include "common/vectors.hpp"
#include "feed_forward/dense_product.hpp"
#include "feed_forward/finish_rows.hpp"
#include "feed_forward/inner_loops.hpp"

namespace pk::PK_SET {

#if defined(__AVX512F__)
const FeedForwardLoops feed_forward_loops = {
    32,
    {dense_product<8, 1, 12>, dense_product<16, 1, 12>, dense_product<16, 2, 12>},
    {finish_rows<16, float>, finish_rows<16, Half>}};
#elif defined(__AVX2__)
const FeedForwardLoops feed_forward_loops = {
    16, {dense_product<8, 1, 12>, dense_product<8, 2, 6>, nullptr}, {finish_rows<8, float>, finish_rows<8, Half>}};
#elif defined(__aarch64__)
const FeedForwardLoops feed_forward_loops = {
    16, {dense_product<4, 2, 12>, dense_product<4, 4, 6>, nullptr}, {finish_rows<4, float>, finish_rows<4, Half>}};
#else
const FeedForwardLoops feed_forward_loops = {
    8, {dense_product<4, 2, 6>, nullptr, nullptr}, {finish_rows<4, float>, finish_rows<4, Half>}};
#endif

}  // namespace pk::PK_SET
