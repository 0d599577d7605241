#include "attention/head_rows.hpp"
#include "attention/inner_loops.hpp"
#include "attention/query_block.hpp"

namespace pk::PK_SET {

#if defined(__AVX512F__)
const AttentionLoops attention_loops = {
    {read_heads<float, 16>, read_heads<Half, 16>}, {attend<8, 1, 8, 16, 8>, attend<16, 1, 8, 16, 16>}, true};
#elif defined(__AVX2__)
const AttentionLoops attention_loops = {
    {read_heads<float, 8>, read_heads<Half, 8>}, {attend<8, 1, 8, 8, 8>, attend<8, 2, 4, 8, 8>}, false};
#elif defined(__aarch64__)
const AttentionLoops attention_loops = {
    {read_heads<float, 4>, read_heads<Half, 4>}, {attend<4, 2, 8, 4, 8>, attend<4, 4, 4, 4, 8>}, false};
#else
const AttentionLoops attention_loops = {
    {read_heads<float, 4>, read_heads<Half, 4>}, {attend<4, 2, 4, 4, 8>, attend<4, 4, 2, 4, 8>}, false};
#endif

}  // namespace pk::PK_SET
