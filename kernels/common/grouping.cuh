// Entries sorted by the group they belong to, so that a group can be summed in a fixed order, without float atomics.
#pragma once

#include "common/cuda.cuh"

namespace pk::cuda {

struct GroupsView {
  const int32_t* begins;   // [n_groups + 1]
  const int32_t* members;  // entries, ascending within their group
};

// Built from the group of each entry (grouping.cu); an entry whose group does not exist belongs to none.
class Groups {
 public:
  Groups(const Gpu& gpu, const int32_t* index, int64_t n, int64_t n_groups);
  GroupsView view() const { return {begins_.data(), members_.data()}; }

 private:
  Scratch<int32_t> begins_;
  Scratch<int32_t> members_;
};

}  // namespace pk::cuda
