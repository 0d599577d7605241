// Runs the threads of one block after the other until each of them waits or is done, again and again.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#include "common/call.hpp"
#include "emulation/cuda.hpp"
#include "emulation/fibers.hpp"

// The section of all __shared__ arrays; the linker provides its ends.
extern "C" {
extern unsigned char __start_pk_shared[] __attribute__((weak, visibility("hidden")));
extern unsigned char __stop_pk_shared[] __attribute__((weak, visibility("hidden")));
}

namespace pk::emulation {
namespace {

constexpr unsigned kLanes = 32;
constexpr size_t kSlotBytes = 64;
constexpr size_t kSharedLimit = 100 * 1024;

enum class State { kReady, kAtBarrier, kInCollective, kDone };

struct Thread {
  State state = State::kReady;
  Fiber* fiber = nullptr;  // null before the first step and after the last
  Coordinates at{};
  int collective = 0;
};

struct Warp {
  // A lane cannot be two collectives ahead of another, so that two sets of slots are enough.
  alignas(16) std::array<std::array<unsigned char, kLanes * kSlotBytes>, 2> slots;
  unsigned phase = 0;
  unsigned arrived = 0;
};

__attribute__((no_sanitize("address", "undefined"))) void poison_shared_arrays() {
  for (volatile unsigned char* at = __start_pk_shared; at < __stop_pk_shared; ++at) *at = 0xFF;
}

uint64_t seed() {
  const char* wanted = std::getenv("PK_EMULATION_SEED");
  return wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : std::random_device{}();
}

class Emulator {
 public:
  void run(const std::function<void()>& kernel, dim3 grid, dim3 block, size_t shared_bytes) {
    kernel_ = &kernel;
    grid_ = grid;
    block_ = block;
    shared_bytes_ = shared_bytes;
    check_limits();
    std::vector<unsigned> order(size_t{grid.x} * grid.y * grid.z);
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<unsigned>(i);
    std::shuffle(order.begin(), order.end(), random_);
    for (const unsigned index : order) run_block({index % grid.x, index / grid.x % grid.y, index / grid.x / grid.y});
  }

  const Coordinates& coordinates() const { return current_->at; }
  void* shared() const { return shared_.get(); }

  int barrier(bool vote) {
    votes_ += vote ? 1 : 0;
    wait(State::kAtBarrier);
    return vote_result_;
  }

  const unsigned char* exchange(int collective, const void* value, size_t bytes) {
    if (threads_.size() % kLanes != 0) fail_kernel("uses a warp collective in a block that is not whole warps");
    const size_t index = static_cast<size_t>(current_ - threads_.data());
    Warp& warp = warps_[index / kLanes];
    auto& slots = warp.slots[warp.phase % 2];
    if (bytes > 0) std::memcpy(slots.data() + index % kLanes * kSlotBytes, value, bytes);
    current_->collective = collective;
    if (++warp.arrived == kLanes)
      release_warp(index / kLanes);
    else
      wait(State::kInCollective);
    return slots.data();
  }

 private:
  void check_limits() const {
    const size_t threads = size_t{block_.x} * block_.y * block_.z;
    require(threads >= 1 && threads <= 1024 && block_.z <= 64, "a block has 1 to 1024 threads");
    require(grid_.x <= 0x7FFFFFFFU && grid_.y <= 65535 && grid_.z <= 65535, "the grid is too large");
    require(shared_bytes_ <= kSharedLimit, "more than 100 KiB of shared memory, which not every GPU has");
  }

  void run_block(uint3 index) {
    const size_t count = size_t{block_.x} * block_.y * block_.z;
    poison_shared_arrays();
    shared_.reset(shared_bytes_ > 0 ? new unsigned char[shared_bytes_]
                                    : nullptr);  // of its own, so that its ends are guarded
    if (shared_bytes_ > 0) std::memset(shared_.get(), 0xFF, shared_bytes_);
    threads_.assign(count, {});
    warps_.assign((count + kLanes - 1) / kLanes, {});
    for (unsigned i = 0; i < count; ++i)
      threads_[i].at = {{i % block_.x, i / block_.x % block_.y, i / block_.x / block_.y}, index, block_, grid_};
    std::vector<unsigned> order(count);
    for (unsigned i = 0; i < count; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random_);
    for (size_t done = 0; done < count; done += step(order)) {
    }
  }

  // Let each thread that can go on do so; how many came to their end.
  size_t step(const std::vector<unsigned>& order) {
    size_t ended = 0;
    bool moved = false;
    for (const unsigned i : order) {
      Thread& thread = threads_[i];
      if (thread.state != State::kReady) continue;
      moved = true;
      continue_thread(thread);
      ended += thread.state == State::kDone ? 1 : 0;
    }
    if (!moved) release_block();
    return ended;
  }

  void continue_thread(Thread& thread) {
    if (thread.fiber == nullptr) thread.fiber = idle_fiber();
    current_ = &thread;
    thread.fiber->resume();
    if (!error_.empty()) throw_error();
    if (thread.state == State::kDone) {
      idle_.push_back(thread.fiber);
      thread.fiber = nullptr;
    }
  }

  Fiber* idle_fiber() {
    if (idle_.empty()) {
      fibers_.push_back(std::make_unique<Fiber>([this] {
        (*kernel_)();
        current_->state = State::kDone;
      }));
      idle_.push_back(fibers_.back().get());
    }
    Fiber* fiber = idle_.back();
    idle_.pop_back();
    return fiber;
  }

  // From a thread.
  void wait(State state) {
    Thread* self = current_;
    self->state = state;
    self->fiber->suspend();
    current_ = self;
  }

  void release_warp(size_t index) {
    Warp& warp = warps_[index];
    warp.arrived = 0;
    ++warp.phase;
    for (size_t i = index * kLanes; i < (index + 1) * kLanes; ++i) {
      if (threads_[i].collective != current_->collective) fail_kernel("has lanes of a warp in different collectives");
      threads_[i].state = State::kReady;
    }
  }

  // Nobody can go on: either all threads are at the barrier, or the kernel is wrong.
  void release_block() {
    size_t at_barrier = 0;
    size_t done = 0;
    for (const Thread& thread : threads_) {
      at_barrier += thread.state == State::kAtBarrier ? 1 : 0;
      done += thread.state == State::kDone ? 1 : 0;
    }
    if (at_barrier != threads_.size() && done != threads_.size()) {
      error_ = at_barrier > 0 ? "has threads that do not reach a barrier that others wait at"
                              : "has lanes that do not reach a collective of their warp";
      throw_error();
    }
    vote_result_ = votes_;
    votes_ = 0;
    for (Thread& thread : threads_)
      if (thread.state == State::kAtBarrier) thread.state = State::kReady;
  }

  // From a thread: it never goes on.
  void fail_kernel(const char* sentence) {
    error_ = sentence;
    current_->fiber->suspend();
  }

  // From the scheduler. Threads that wait are given up with their stacks.
  [[noreturn]] void throw_error() {
    const std::string sentence = "the kernel " + error_;
    error_.clear();
    for (auto& fiber : fibers_) static_cast<void>(fiber.release());
    fibers_.clear();
    idle_.clear();
    votes_ = 0;
    throw Failure(PK_INTERNAL, sentence);
  }

  const std::function<void()>* kernel_ = nullptr;
  dim3 grid_, block_;
  size_t shared_bytes_ = 0;
  std::unique_ptr<unsigned char[]> shared_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  Thread* current_ = nullptr;
  std::string error_;
  int votes_ = 0;
  int vote_result_ = 0;
  std::mt19937_64 random_{seed()};
};

// __shared__ arrays are static here, so that one kernel can run at a time.
std::mutex one_at_a_time;

Emulator& emulator() {
  static Emulator only;
  return only;
}

}  // namespace

const Coordinates& coordinates() { return emulator().coordinates(); }
void* dynamic_shared_memory() { return emulator().shared(); }
int barrier(bool vote) { return emulator().barrier(vote); }

const unsigned char* exchange(int collective, const void* value, size_t bytes) {
  return emulator().exchange(collective, value, bytes);
}

void run(const std::string& sizes, const std::function<void()>& kernel, dim3 grid, dim3 block, size_t shared_bytes) {
  const std::lock_guard<std::mutex> lock(one_at_a_time);
  try {
    emulator().run(kernel, grid, block, shared_bytes);
  } catch (const Failure& failure) {
    throw Failure(failure.status, "launch with " + sizes + ": " + failure.what());
  }
}

}  // namespace pk::emulation
