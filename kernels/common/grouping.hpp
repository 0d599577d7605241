// Entries sorted by the row they belong to, so that each row can be summed by one thread, always in the same order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "common/call.hpp"

namespace pk {

struct Groups {
  std::vector<int32_t> begins;   // [n_groups + 1]
  std::vector<int32_t> members;  // entries, ascending within their group
};

// Entries with index -1 belong to no group.
inline void require_groups(const int32_t* index, int64_t n, int64_t n_groups, const char* sentence) {
  bool known = true;
  for (int64_t i = 0; i < n; ++i) known &= index[i] >= -1 && index[i] < n_groups;
  require(known, sentence);
}

// begins [n_groups + 1]; members [n], of which only the first begins[n_groups] are written. Of checked indices.
inline void group_entries(const int32_t* index, int64_t n, int64_t n_groups, int32_t* begins, int32_t* members) {
  std::fill_n(begins, n_groups + 1, 0);
  for (int64_t i = 0; i < n; ++i)
    if (index[i] >= 0) ++begins[index[i] + 1];
  std::partial_sum(begins, begins + n_groups + 1, begins);
  std::vector<int32_t> next(begins, begins + n_groups);
  for (int64_t i = 0; i < n; ++i)
    if (index[i] >= 0) members[next[static_cast<size_t>(index[i])]++] = static_cast<int32_t>(i);
}

inline Groups group_entries(const int32_t* index, int64_t n, int64_t n_groups) {
  require_groups(index, n, n_groups, "an index names a voxel that does not exist");
  Groups groups{std::vector<int32_t>(static_cast<size_t>(n_groups + 1)), std::vector<int32_t>(static_cast<size_t>(n))};
  group_entries(index, n, n_groups, groups.begins.data(), groups.members.data());
  groups.members.resize(static_cast<size_t>(groups.begins.back()));
  return groups;
}

}  // namespace pk
