#include "boxes/box_vectors.hpp"
#include "boxes/heatmap_rows.hpp"

namespace pk::PK_SET {

#if defined(__AVX512F__)
constexpr int kFloats = 16;
#elif defined(__AVX2__)
constexpr int kFloats = 8;
#else
constexpr int kFloats = 4;
#endif

const boxes::BoxLoops box_loops = {reach, iou_with_many<kFloats>};
const boxes::HeatmapLoops heatmap_loops = {local_maxima, weigh, find_above<kFloats>};

}  // namespace pk::PK_SET
