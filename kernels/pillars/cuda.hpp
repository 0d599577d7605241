#pragma once

#include "common/gpu.hpp"
#include "pillars/grid.hpp"

namespace pk {

// The arguments of pk_pillars.
struct PillarCall {
  const float* points;
  int64_t n;
  int32_t channels;
  const int32_t* batch;
  PillarGrid grid;
  int32_t* coords;
  int32_t* order;
  int32_t* begins;
  int32_t* pillar;
  int64_t* counts;
  int64_t* kept;
};

// The arguments of pk_pillar_features.
struct PillarFeatures {
  const float* points;
  int64_t n;
  int32_t channels;
  PillarGrid grid;
  const int32_t* coords;
  const int32_t* order;
  const int32_t* begins;
  int64_t n_pillars;
  int64_t n_kept;
  float* features;
};

// The arguments of pk_segment_reduce.
struct SegmentReduction {
  const void* features;
  int64_t n;
  int32_t channels;
  int32_t dtype;
  const int32_t* begins;
  int64_t n_segments;
  int32_t reduction;
  void* output;
};

// The arguments of pk_pillars_to_map.
struct PillarMap {
  const void* features;
  const int32_t* coords;
  int64_t n;
  int32_t channels;
  int32_t dtype;
  int32_t n_batches;
  int32_t height;
  int32_t width;
  int32_t layout;
  void* map;
  PK_HOST_DEVICE int64_t cells() const { return int64_t{n_batches} * height * width; }
};

}  // namespace pk

namespace pk::cuda {

void pillars(const Gpu& gpu, const PillarCall& call);
void pillar_features(const Gpu& gpu, const PillarFeatures& call);
void segment_reduce(const Gpu& gpu, const SegmentReduction& call);
void pillars_to_map(const Gpu& gpu, const PillarMap& call);

}  // namespace pk::cuda
