#include "common/half_vectors.hpp"
#include "half/loops.hpp"

namespace pk::PK_SET {
namespace {

#if defined(__AVX2__)
constexpr int kWidest = 8;
#else
constexpr int kWidest = 4;
#endif

template <typename From, typename To>
void convert(const From* from, To* to, int64_t count) {
  int64_t i = 0;
  for (; i + kWidest <= count; i += kWidest) store<kWidest>(to + i, load<kWidest>(from + i));
  for (; i < count; ++i) store<1>(to + i, load<1>(from + i));
}

}  // namespace

const HalfLoops half_loops = {convert<Half, float>, convert<float, Half>};

}  // namespace pk::PK_SET
