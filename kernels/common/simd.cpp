#include "common/row_loops.hpp"
#include "common/vectors.hpp"
#include "common/weighted_rows.hpp"

namespace pk::PK_SET {

#if defined(__AVX512F__)
const RowLoops row_loops = {weighted_rows<16>};
#elif defined(__AVX2__)
const RowLoops row_loops = {weighted_rows<8>};
#else
const RowLoops row_loops = {weighted_rows<4>};
#endif

}  // namespace pk::PK_SET
