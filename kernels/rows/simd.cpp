#include "common/half_vectors.hpp"
#include "rows/best_class.hpp"
#include "rows/inner_loops.hpp"

namespace pk::PK_SET {
namespace {

template <int kFloats, typename Stored>
inline void add_at(const Addition& call, int64_t at) {
  Vector<kFloats> sum =
      load<kFloats>(static_cast<const Stored*>(call.a) + at) + load<kFloats>(static_cast<const Stored*>(call.b) + at);
  if (call.relu) sum = sum < 0.0F ? Vector<kFloats>{} : sum;  // NaN stays
  store<kFloats>(static_cast<Stored*>(call.output) + at, sum);
}

template <int kFloats, typename Stored>
void add(const Addition& call) {
  int64_t at = 0;
  for (; at + kFloats <= call.count; at += kFloats) add_at<kFloats, Stored>(call, at);
  for (; at < call.count; ++at) add_at<1, Stored>(call, at);
}

}  // namespace

#if defined(__AVX512F__)
const RowArithmetic row_arithmetic = {{add<16, float>, add<16, Half>}, {best_class<16, float>, best_class<16, Half>}};
#elif defined(__AVX2__)
const RowArithmetic row_arithmetic = {{add<8, float>, add<8, Half>}, {best_class<8, float>, best_class<8, Half>}};
#else
const RowArithmetic row_arithmetic = {{add<4, float>, add<4, Half>}, {best_class<4, float>, best_class<4, Half>}};
#endif

}  // namespace pk::PK_SET
