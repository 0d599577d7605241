// What follows the sums of a layer: bias, residual, ReLU, and rounding once.
#pragma once

#include "sparse_conv/matrix_chunks.cuh"

namespace pk::cuda {

template <typename Stored>
struct Finish {
  const float* bias;
  Matrix<Stored> residual;  // data may be null
  Stored* output;
  int64_t columns;
  bool relu;
  bool aligned;  // the output's rows begin at multiples of 16 bytes

  // kWidth sums beside each other; those past the last column are left out.
  template <int kWidth>
  __device__ void write(int64_t row, int64_t column, const float* sums) const {
    Few<Stored, kWidth> results;
    const int64_t at = row * columns + column;
#pragma unroll
    for (int i = 0; i < kWidth; ++i)
      if (column + i < columns) results.at[i] = from_float<Stored>(of(sums[i], at + i, column + i));
    if (aligned && column + kWidth <= columns) {
      store_vector(output + at, results);
      return;
    }
#pragma unroll
    for (int i = 0; i < kWidth; ++i)
      if (column + i < columns) output[at + i] = results.at[i];
  }

 private:
  __device__ float of(float sum, int64_t at, int64_t column) const {
    if (bias != nullptr) sum += bias[column];
    if (residual.data != nullptr) sum += to_float(residual.data[at]);
    return relu && sum < 0.0F ? 0.0F : sum;
  }
};

template <typename Stored>
Finish<Stored> finish_of(const pk_convolution& layer) {
  const auto residual = matrix_of<Stored>(layer.residual, layer.n_out, layer.c_out);
  return {layer.bias,  residual,        static_cast<Stored*>(layer.output),
          layer.c_out, layer.relu != 0, matrix_of<Stored>(layer.output, layer.n_out, layer.c_out).aligned};
}

}  // namespace pk::cuda
