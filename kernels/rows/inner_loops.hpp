// The inner loops of this folder; simd.cpp defines them for each instruction set.
#pragma once

#include <cstdint>

#include "common/instruction_set.hpp"

namespace pk {

// output = relu(a + b), elements stored as float32 or float16.
struct Addition {
  const void* a;
  const void* b;
  void* output;
  int64_t count;
  bool relu;
};

// Class and probability of each row of scores [rows, classes]; see pk_best_class.
struct Scores {
  const void* scores;
  int64_t rows;
  int64_t classes;
  uint8_t* class_ids;
  float* probabilities;
};

struct RowArithmetic {
  void (*add[2])(const Addition&);  // by pk_dtype
  void (*best_class[2])(const Scores&);
};

PK_TABLE_OF_EVERY_SET(RowArithmetic, row_arithmetic)

}  // namespace pk
