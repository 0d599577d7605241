#include "sparse_conv/weight_groups.hpp"

#include <algorithm>

namespace pk {
namespace {

std::vector<int> by_falling_count(const std::vector<int64_t>& counts) {
  std::vector<int> weights;
  for (int k = 0; k < static_cast<int>(counts.size()); ++k)
    if (counts[static_cast<size_t>(k)] > 0) weights.push_back(k);
  std::stable_sort(weights.begin(), weights.end(),
                   [&](int a, int b) { return counts[static_cast<size_t>(a)] > counts[static_cast<size_t>(b)]; });
  return weights;
}

}  // namespace

std::vector<std::vector<int>> group_weights(const std::vector<int64_t>& counts, float epsilon, int64_t threshold) {
  std::vector<std::vector<int>> groups;
  int64_t largest = 0;  // of the last group
  int64_t sum = 0;
  for (const int weight : by_falling_count(counts)) {
    const int64_t count = counts[static_cast<size_t>(weight)];
    const auto padded =
        static_cast<double>(largest) * static_cast<double>(groups.empty() ? 0 : groups.back().size() + 1);
    const bool fits = !groups.empty() && largest < threshold &&
                      padded - static_cast<double>(sum + count) <= static_cast<double>(epsilon) * padded;
    if (!fits) {
      groups.emplace_back();
      largest = count;
      sum = 0;
    }
    groups.back().push_back(weight);
    sum += count;
  }
  return groups;
}

}  // namespace pk
