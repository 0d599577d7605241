// Adaptive grouping: which weights share a matrix product. (TorchSparse, MLSys 2022, section 4.2: neighbouring weights
// in the order of their counts are batched while the padding that this needs stays within a tolerance.)
#pragma once

#include <cstdint>
#include <vector>

namespace pk {

// Weights by falling number of pairs, cut into groups; those without pairs are left out. Weights with `threshold` pairs
// or more stay alone. A group wastes at most the share `epsilon` of a product as large as its largest weight for each.
std::vector<std::vector<int>> group_weights(const std::vector<int64_t>& counts, float epsilon, int64_t threshold);

}  // namespace pk
