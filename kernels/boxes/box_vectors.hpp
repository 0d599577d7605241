// One box against many, a vector of them at a time.
#pragma once

#include "boxes/loops.hpp"
#include "common/vectors.hpp"

namespace pk::PK_SET {

// A vector as a value; those that are loaded and stored have attributes which a template's argument cannot carry.
template <int kFloats>
struct LanesOf {
  typedef float type __attribute__((vector_size(kFloats * sizeof(float))));
};

template <int kFloats>
using Lanes = typename LanesOf<kFloats>::type;

template <int kFloats>
static boxes::Footprint<Lanes<kFloats>> spread(const boxes::Footprint<float>& one) {
  const Lanes<kFloats> zero{};
  return {zero + one.x,          zero + one.y,      zero + one.half_length,
          zero + one.half_width, zero + one.cosine, zero + one.sine};
}

template <int kFloats>
static boxes::Footprint<Lanes<kFloats>> footprints(const boxes::BoxColumns& many, int64_t i) {
  return {load<kFloats>(many.x + i),          load<kFloats>(many.y + i),      load<kFloats>(many.half_length + i),
          load<kFloats>(many.half_width + i), load<kFloats>(many.cosine + i), load<kFloats>(many.sine + i)};
}

static void reach(float x, float y, float radius, const boxes::BoxColumns& many, int64_t count, uint8_t* reached) {
  for (int64_t i = 0; i < count; ++i) {
    const float dx = many.x[i] - x;
    const float dy = many.y[i] - y;
    const float far = many.radius[i] + radius;
    reached[i] = dx * dx + dy * dy <= far * far;
  }
}

template <int kFloats>
static bool any_reached(const boxes::PreparedBox& one, const boxes::BoxColumns& many, int64_t i) {
  int reached = 0;
  for (int64_t k = i; k < i + kFloats; ++k) {
    const float dx = many.x[k] - one.footprint.x;
    const float dy = many.y[k] - one.footprint.y;
    const float far = many.radius[k] + one.radius;
    reached |= static_cast<int>(dx * dx + dy * dy <= far * far);
  }
  return reached != 0;
}

template <int kFloats>
static Lanes<kFloats> iou_of_vector(const boxes::PreparedBox& one, const boxes::BoxColumns& many, int64_t i,
                                    bool three_d) {
  const boxes::Footprint<Lanes<kFloats>> first = spread<kFloats>(one.footprint);
  const boxes::Footprint<Lanes<kFloats>> second = footprints<kFloats>(many, i);
  if (!three_d) return boxes::iou_bev(first, second);
  const Lanes<kFloats> zero{};
  return boxes::iou_3d(first, {zero + one.z.low, zero + one.z.high}, second,
                       {load<kFloats>(many.low + i), load<kFloats>(many.high + i)});
}

template <int kFloats>
static void iou_with_many(const boxes::PreparedBox& one, const boxes::BoxColumns& many, int64_t count, bool three_d,
                          float* iou) {
  for (int64_t i = 0; i < count; i += kFloats) {
    Lanes<kFloats> values{};
    if (any_reached<kFloats>(one, many, i)) values = iou_of_vector<kFloats>(one, many, i, three_d);
    if (i + kFloats <= count)
      store<kFloats>(iou + i, values);
    else
      for (int64_t k = i; k < count; ++k) iou[k] = values[k - i];
  }
}

}  // namespace pk::PK_SET
