// The class of the highest score of a row and its probability, a vector of scores at a time.
#pragma once

#include "common/elementary.hpp"
#include "common/half_vectors.hpp"
#include "perception_kernels/rows.h"
#include "rows/inner_loops.hpp"

namespace pk::PK_SET {

// One number of all lanes: the lower and the upper half are put together until one lane is left.
template <int kFloats, typename Join>
inline float fold(Vector<kFloats> value, const Join& join) {
  if constexpr (kFloats == 1) {
    return value[0];
  } else {
    float lanes[kFloats];
    store<kFloats>(lanes, value);
    constexpr int kHalf = kFloats / 2;
    return fold<kHalf>(join(load<kHalf>(lanes), load<kHalf>(lanes + kHalf)), join);
  }
}

// A row of scores, padded with what no score is below.
template <int kFloats, typename Stored>
class ScoreRow {
 public:
  ScoreRow(const Stored* scores, int64_t classes) : scores_(scores), whole_(classes / kFloats * kFloats) {
    store<kFloats>(rest_, Vector<kFloats>{} - __builtin_inff());
    for (int64_t c = whole_; c < classes; ++c) store<1>(rest_ + c - whole_, load<1>(scores + c));
  }
  Vector<kFloats> at(int64_t c) const { return c < whole_ ? load<kFloats>(scores_ + c) : load<kFloats>(rest_); }

 private:
  const Stored* scores_;
  int64_t whole_;
  float rest_[kFloats];
};

template <int kFloats>
inline Vector<kFloats> lane_numbers() {
  Vector<kFloats> numbers = {};
  for (int lane = 0; lane < kFloats; ++lane) numbers[lane] = static_cast<float>(lane);
  return numbers;
}

template <int kFloats, typename Stored>
inline void best_class_of_row(const Stored* scores, int64_t classes, uint8_t* class_id, float* probability) {
  constexpr float kLog2OfE = 1.44269504F;
  const auto larger_of = [](auto a, auto b) { return a < b ? b : a; };
  const auto smaller_of = [](auto a, auto b) { return b < a ? b : a; };
  const auto sum_of = [](auto a, auto b) { return a + b; };
  const ScoreRow<kFloats, Stored> row(scores, classes);
  // Each lane keeps its first highest score; class numbers are exact as floats. NaN is above nothing.
  Vector<kFloats> best = Vector<kFloats>{} - __builtin_inff();
  Vector<kFloats> first = {};
  for (int64_t c = 0; c < classes; c += kFloats) {
    const Vector<kFloats> x = row.at(c);
    const auto above = x > best;
    best = above ? x : best;
    first = above ? Vector<kFloats>{} + static_cast<float>(c) : first;
  }
  const float highest = fold<kFloats>(best, larger_of);
  const Vector<kFloats> candidates = first + lane_numbers<kFloats>();
  const float winner = fold<kFloats>(
      best == Vector<kFloats>{} + highest ? candidates : Vector<kFloats>{} + float{PK_NO_CLASS}, smaller_of);
  Vector<kFloats> sums = {};
  for (int64_t c = 0; c < classes; c += kFloats) sums += exp2<kFloats>((row.at(c) - highest) * kLog2OfE);
  const float sum = fold<kFloats>(sums, sum_of);
  const bool known = sum == sum;  // not after a NaN, or an infinity less itself
  *class_id = known ? static_cast<uint8_t>(winner) : uint8_t{PK_NO_CLASS};
  *probability = known ? 1.0F / sum : 0.0F;
}

template <int kFloats, typename Stored>
void best_class(const Scores& call) {
  const auto* scores = static_cast<const Stored*>(call.scores);
  for (int64_t row = 0; row < call.rows; ++row, scores += call.classes)
    best_class_of_row<kFloats>(scores, call.classes, call.class_ids + row, call.probabilities + row);
}

}  // namespace pk::PK_SET
