// Entries sorted by the row they belong to, so that each row can be summed by one thread, always in the same order.
#pragma once

#include <cstdint>
#include <numeric>
#include <vector>

#include "common/call.hpp"

namespace pk {

struct Groups {
  std::vector<int64_t> begins;   // [n_groups + 1]
  std::vector<int32_t> members;  // entries, ascending within their group
};

// Entries with index -1 belong to no group.
inline Groups group_entries(const int32_t* index, int64_t n, int64_t n_groups) {
  Groups groups{std::vector<int64_t>(static_cast<size_t>(n_groups + 1)), {}};
  for (int64_t i = 0; i < n; ++i) {
    require(index[i] >= -1 && index[i] < n_groups, "an index names a voxel that does not exist");
    if (index[i] >= 0) ++groups.begins[static_cast<size_t>(index[i]) + 1];
  }
  std::partial_sum(groups.begins.begin(), groups.begins.end(), groups.begins.begin());
  groups.members.resize(static_cast<size_t>(groups.begins.back()));
  std::vector<int64_t> next(groups.begins.begin(), groups.begins.end() - 1);
  for (int64_t i = 0; i < n; ++i)
    if (index[i] >= 0)
      groups.members[static_cast<size_t>(next[static_cast<size_t>(index[i])]++)] = static_cast<int32_t>(i);
  return groups;
}

}  // namespace pk
