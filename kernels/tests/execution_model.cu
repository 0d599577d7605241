// A program that shows the emulation to behave as a GPU does, and to notice what a GPU may hide; it runs on a real GPU
// as well, where the mistakes are left out. `execution_model CASE` ends with 0 where CASE is as it should be.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "common/radix_sort.cuh"
#include "common/scan.cuh"
#include "common/tensor_core.cuh"

namespace {

using namespace pk::cuda;  // NOLINT: a small program

const pk::Gpu gpu{0, nullptr};

template <typename Element>
class OnGpu {
 public:
  explicit OnGpu(const std::vector<Element>& values)
      : memory_(gpu, static_cast<int64_t>(values.size())), count_(values.size()) {
    copy_to_device(gpu, memory_.data(), values.data(), bytes());
  }
  Element* data() const { return memory_.data(); }
  std::vector<Element> read() const {
    std::vector<Element> values(count_);
    copy_to_host(gpu, values.data(), memory_.data(), bytes());
    return values;
  }

 private:
  int64_t bytes() const { return static_cast<int64_t>(count_ * sizeof(Element)); }
  Scratch<Element> memory_;
  size_t count_;
};

bool scan() {
  std::mt19937 random(1);
  for (const size_t n : {0, 1, 7, 8, 9, 2047, 2048, 2049, 30000, 5000000}) {
    std::vector<int32_t> counts(n);
    for (int32_t& count : counts) count = static_cast<int32_t>(random() % 5);
    const OnGpu<int32_t> in(counts);
    const OnGpu<int32_t> out(std::vector<int32_t>(n + 1, -7));
    exclusive_scan(gpu, in.data(), out.data(), static_cast<int64_t>(n));
    std::vector<int32_t> expected(n + 1, 0);
    std::partial_sum(counts.begin(), counts.end(), expected.begin() + 1);
    if (out.read() != expected) return false;
    if (n > 40000) break;
  }
  return true;
}

bool sort() {
  std::mt19937_64 random(2);
  for (const size_t n : {0, 1, 2, 1023, 1024, 1025, 20000})
    for (const int bits : {0, 3, 16, 63, 64}) {
      std::vector<uint64_t> keys(n);
      std::vector<int32_t> rows(n);
      for (uint64_t& key : keys) key = bits == 64 ? random() : random() % (uint64_t{1} << bits) % 5000;
      std::iota(rows.begin(), rows.end(), 0);
      const OnGpu<uint64_t> on_keys(keys);
      const OnGpu<int32_t> on_rows(rows);
      sort_pairs(gpu, on_keys.data(), on_rows.data(), static_cast<int64_t>(n), bits);
      std::stable_sort(rows.begin(), rows.end(), [&](int32_t a, int32_t b) {
        return keys[static_cast<size_t>(a)] < keys[static_cast<size_t>(b)];
      });
      std::sort(keys.begin(), keys.end());
      if (on_keys.read() != keys || on_rows.read() != rows) return false;
    }
  return true;
}

__global__ void use_collectives(int* results) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  int sum = lane;
  for (int step = kWarp / 2; step > 0; step /= 2) sum += __shfl_xor_sync(kAllLanes, sum, step);
  const int from_five = __shfl_sync(kAllLanes, lane * 10, 5);
  const int above = __shfl_down_sync(kAllLanes, lane, 3U);
  const int below = __shfl_up_sync(kAllLanes, lane, 3U);
  const unsigned odd = __ballot_sync(kAllLanes, lane % 2);
  const bool good = sum == 496 && from_five == 50 && above == (lane + 3 < kWarp ? lane + 3 : lane) &&
                    below == (lane >= 3 ? lane - 3 : lane) && odd == 0xAAAAAAAAU &&
                    __any_sync(kAllLanes, lane == 7) != 0 && __all_sync(kAllLanes, lane < 31) == 0;
  const int all_good = __syncthreads_count(good ? 1 : 0);
  if (threadIdx.x == 0) results[blockIdx.x] = all_good;
}

bool collectives() {
  const OnGpu<int> results(std::vector<int>(5, 0));
  launch(gpu, {{"blocks", 5}}, use_collectives, 5, 96, 0, results.data());
  return results.read() == std::vector<int>(5, 96);
}

// A and B row-major in memory; each lane gathers its fragments.
__global__ void multiply(const pk::Half* a, const pk::Half* b, float* c) {
#if PK_TENSOR_CORES
  const unsigned lane = threadIdx.x;
  const unsigned group = lane / 4;
  const unsigned pair = 2 * (lane % 4);
  const auto word = [](pk::Half low, pk::Half high) { return low.bits | (static_cast<uint32_t>(high.bits) << 16); };
  const auto of_a = [&](unsigned row, unsigned k) { return word(a[16 * row + k], a[16 * row + k + 1]); };
  const auto of_b = [&](unsigned k, unsigned column) { return word(b[8 * k + column], b[8 * (k + 1) + column]); };
  const uint32_t left[4] = {of_a(group, pair), of_a(group + 8, pair), of_a(group, pair + 8), of_a(group + 8, pair + 8)};
  const uint32_t right[2] = {of_b(pair, group), of_b(pair + 8, group)};
  float sums[4] = {1, 1, 1, 1};
  mma_16x8x16(sums, left, right);
  for (unsigned i = 0; i < 4; ++i) c[8 * (group + 8 * (i / 2)) + pair + i % 2] = sums[i];
#else
  static_cast<void>(a), static_cast<void>(b), static_cast<void>(c);
#endif
}

bool matrix_product() {
  std::mt19937 random(3);
  std::vector<pk::Half> a(256), b(128);
  for (pk::Half& value : a) value = pk::to_half(static_cast<float>(random() % 17) - 8);
  for (pk::Half& value : b) value = pk::to_half(static_cast<float>(random() % 17) - 8);
  const OnGpu<pk::Half> on_a(a), on_b(b);
  const OnGpu<float> on_c(std::vector<float>(128, 0));
  launch(gpu, {{"tiles", 1}}, multiply, 1, 32, 0, on_a.data(), on_b.data(), on_c.data());
  const std::vector<float> found = on_c.read();
  for (size_t row = 0; row < 16; ++row)
    for (size_t column = 0; column < 8; ++column) {
      float expected = 1;
      for (size_t k = 0; k < 16; ++k) expected += pk::to_float(a[16 * row + k]) * pk::to_float(b[8 * k + column]);
      if (found[8 * row + column] != expected) return false;
    }
  return true;
}

__global__ void round_trip(uint16_t* wrong) {
  const auto bits = static_cast<uint16_t>(global_index());
  const float wide = pk::to_float(pk::Half{bits});
  const bool is_nan = wide != wide;
  if (!is_nan && pk::to_half(wide).bits != bits) *wrong = 1;
  if (is_nan != ((bits & 0x7FFFU) > 0x7C00U)) *wrong = 2;
}

// Every half, and the same rounding on the host and the GPU.
bool half_precision() {
  const OnGpu<uint16_t> wrong(std::vector<uint16_t>(1, 0));
  launch(gpu, {{"halves", 65536}}, round_trip, 256, 256, 0, wrong.data());
  const auto narrow = [](float value) { return pk::half_bits::narrow(value); };
  return wrong.read()[0] == 0 && narrow(65519.0F) == 0x7BFF && narrow(65520.0F) == 0x7C00 && narrow(1e30F) == 0x7C00 &&
         narrow(1.00048828125F) == 0x3C00 && narrow(1.00146484375F) == 0x3C02 && narrow(-0.0F) == 0x8000 &&
         narrow(2.98023223876953125e-8F) == 0 && narrow(2.9802326e-8F) == 1 && narrow(1e-9F) == 0;
}

bool empty_grid() {
  launch(gpu, {{"points", 0}}, round_trip, blocks(0, 256), 256, 0, nullptr);
  return true;
}

bool too_many_threads() {
  try {
    launch(gpu, {{"points", 12}}, round_trip, 1, 2048, 0, nullptr);
  } catch (const pk::Failure& failure) {
    return std::strstr(failure.what(), "launch with points 12") != nullptr;
  }
  return false;
}

#if defined(PK_EMULATION)

template <typename Kernel>
bool fails(Kernel kernel, unsigned threads, const char* because) {
  const OnGpu<int> memory(std::vector<int>(256, 0));
  try {
    launch(gpu, {{"threads", threads}}, kernel, 1, threads, 0, memory.data());
  } catch (const pk::Failure& failure) {
    return std::strstr(failure.what(), because) != nullptr;
  }
  return false;
}

__global__ void return_before_barrier(int*) {
  if (threadIdx.x == 3) return;
  __syncthreads();
}

__global__ void lane_stays_away(int* memory) {
  if (threadIdx.x != 3) memory[threadIdx.x] = __shfl_xor_sync(kAllLanes, 1, 1);
}

__global__ void lanes_disagree(int* memory) {
  if (threadIdx.x != 3)
    memory[threadIdx.x] = __shfl_xor_sync(kAllLanes, 1, 1);
  else
    memory[threadIdx.x] = static_cast<int>(__ballot_sync(kAllLanes, 1));
}

__global__ void forget_barrier(int* memory) {
  __shared__ int values[64];
  values[threadIdx.x] = static_cast<int>(threadIdx.x);
  memory[threadIdx.x] = values[63 - threadIdx.x];
}

__global__ void read_unwritten(int* memory) {
  __shared__ int values[64];
  memory[threadIdx.x] = values[threadIdx.x];
  __syncthreads();
  values[threadIdx.x] = memory[0];
}

bool broken_rules() {
  return fails(return_before_barrier, 64, "do not reach a barrier") &&
         fails(lane_stays_away, 32, "do not reach a collective") &&
         fails(lanes_disagree, 32, "in different collectives") && fails(lane_stays_away, 48, "not whole warps") &&
         collectives();  // and the next kernel is none the worse for it
}

bool forgotten_barrier() {
  const OnGpu<int> memory(std::vector<int>(64, 0));
  for (int attempt = 0; attempt < 5; ++attempt) {
    launch(gpu, {{"threads", 64}}, forget_barrier, 1, 64, 0, memory.data());
    for (size_t i = 0; i < 64; ++i)
      if (memory.read()[i] != 63 - static_cast<int>(i)) return true;
  }
  return false;
}

bool unwritten_shared_memory() {
  const OnGpu<int> memory(std::vector<int>(64, 0));
  launch(gpu, {{"threads", 64}}, read_unwritten, 3, 64, 0, memory.data());
  return memory.read() == std::vector<int>(64, -1);
}

// The next three end the program where AddressSanitizer is on.
__global__ void write_past(int* memory, int which) {
  __shared__ int values[64];
  PK_DYNAMIC_SHARED(int, dynamic);
  int* start = values;
  if (which == 0) start[threadIdx.x + 1] = 1;
  if (which == 1) dynamic[threadIdx.x + 1] = 1;
  if (which == 2) memory[threadIdx.x + 1] = values[0];
}

bool past_the_end(int which) {
  const OnGpu<int> memory(std::vector<int>(64, 0));
  launch(gpu, {{"threads", 64}}, write_past, 1, 64, 64 * sizeof(int), memory.data(), which);
  return true;
}

#endif

bool run_case(const char* name) {
  const auto is = [name](const char* other) { return std::strcmp(name, other) == 0; };
  if (is("scan")) return scan();
  if (is("sort")) return sort();
  if (is("collectives")) return collectives();
  if (is("matrix_product")) return matrix_product();
  if (is("half_precision")) return half_precision();
  if (is("empty_grid")) return empty_grid();
  if (is("too_many_threads")) return too_many_threads();
#if defined(PK_EMULATION)
  if (is("broken_rules")) return broken_rules();
  if (is("forgotten_barrier")) return forgotten_barrier();
  if (is("unwritten_shared_memory")) return unwritten_shared_memory();
  if (is("past_shared")) return past_the_end(0);
  if (is("past_dynamic_shared")) return past_the_end(1);
  if (is("past_memory")) return past_the_end(2);
#endif
  std::fprintf(stderr, "there is no case %s\n", name);
  return false;
}

}  // namespace

int main(int count, char** names) {
  int failed = 0;
  for (int i = 1; i < count; ++i) {
    const bool good = run_case(names[i]);
    std::printf("%s: %s\n", names[i], good ? "as it should be" : "WRONG");
    failed += good ? 0 : 1;
  }
  return failed;
}
