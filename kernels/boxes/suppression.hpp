// What a suppression is given, for the CPU and a GPU alike.
#pragma once

#include <cstdint>

#include "perception_kernels/boxes.h"

namespace pk::boxes {

constexpr int32_t kMostClasses = 1024;
constexpr int64_t kMostCandidatesOnGpu = 32768;  // their bit matrix takes 128 MiB

enum class Criterion { kIou, kDistance };

// As in pk_rotated_nms and pk_circle_nms.
struct Suppression {
  const float* boxes;
  const float* scores;
  const int32_t* labels;
  int64_t n;
  int32_t columns;
  const pk_class_suppression* classes;
  int32_t n_classes;
  Criterion criterion;
};

}  // namespace pk::boxes
