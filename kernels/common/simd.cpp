#include "common/row_loops.hpp"
#include "common/vectors.hpp"
#include "common/weighted_rows.hpp"

namespace pk::PK_SET {

#if defined(__AVX512F__)
const RowLoops row_loops = {weighted_rows<16, float>, weighted_rows<16, Half>};
#elif defined(__AVX2__)
const RowLoops row_loops = {weighted_rows<8, float>, weighted_rows<8, Half>};
#else
const RowLoops row_loops = {weighted_rows<4, float>, weighted_rows<4, Half>};
#endif

}  // namespace pk::PK_SET
