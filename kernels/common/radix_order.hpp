// The order of keys by a radix sort on the CPU.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace pk {

// order [n] = rows by key, equal keys in order of their rows; only the lowest `bits` of a key count.
inline void radix_order(std::vector<uint64_t> keys, int bits, int32_t* order) {
  constexpr int kDigit = 11;
  constexpr uint64_t kMask = (1U << kDigit) - 1;
  std::vector<int32_t> rows(keys.size());
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int32_t>(i);
  std::vector<uint64_t> next_keys(keys.size());
  std::vector<int32_t> next_rows(keys.size());
  for (int shift = 0; shift < bits; shift += kDigit) {
    std::vector<size_t> begins(kMask + 2);
    for (const uint64_t key : keys) ++begins[((key >> shift) & kMask) + 1];
    for (size_t digit = 1; digit < begins.size(); ++digit) begins[digit] += begins[digit - 1];
    for (size_t i = 0; i < keys.size(); ++i) {
      const size_t to = begins[(keys[i] >> shift) & kMask]++;
      next_keys[to] = keys[i];
      next_rows[to] = rows[i];
    }
    std::swap(keys, next_keys);
    std::swap(rows, next_rows);
  }
  for (size_t i = 0; i < rows.size(); ++i) order[i] = rows[i];
}

}  // namespace pk
