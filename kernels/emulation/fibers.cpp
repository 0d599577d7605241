#include "emulation/fibers.hpp"

#include <sys/mman.h>
#include <ucontext.h>

#include <cstdint>
#include <new>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__x86_64__)
// swapcontext asks the kernel for the signal mask each time; this keeps the registers that a call has to keep, and that
// is all.
extern "C" void pk_switch_stack(void** save, void* load);
asm(R"(
.pushsection .text
.type pk_switch_stack, @function
pk_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size pk_switch_stack, . - pk_switch_stack
.type pk_start_fiber, @function
pk_start_fiber:
  movq %rbx, %rdi
  call pk_enter_fiber
  ud2
.size pk_start_fiber, . - pk_start_fiber
.popsection
)");
extern "C" void pk_start_fiber();
extern "C" void pk_enter_fiber(void* fiber);
#endif

namespace pk::emulation {
namespace {

constexpr size_t kStackBytes = 256 * 1024;

}  // namespace

struct Fiber::State {
  std::function<void()> body;
  void* stack = nullptr;
#if defined(__x86_64__)
  void* own = nullptr;
  void* scheduler = nullptr;
#else
  ucontext_t own{};
  ucontext_t scheduler{};
#endif
#if defined(__SANITIZE_ADDRESS__)
  // AddressSanitizer has to know on which stack the program is.
  void* fake_of_scheduler = nullptr;
  void* fake_of_fiber = nullptr;
  const void* scheduler_stack = nullptr;
  size_t scheduler_bytes = 0;
  void leave_scheduler() { __sanitizer_start_switch_fiber(&fake_of_scheduler, stack, kStackBytes); }
  void back_in_scheduler() { __sanitizer_finish_switch_fiber(fake_of_scheduler, nullptr, nullptr); }
  void leave_fiber() { __sanitizer_start_switch_fiber(&fake_of_fiber, scheduler_stack, scheduler_bytes); }
  void back_in_fiber() { __sanitizer_finish_switch_fiber(fake_of_fiber, &scheduler_stack, &scheduler_bytes); }
#else
  void leave_scheduler() {}
  void back_in_scheduler() {}
  void leave_fiber() {}
  void back_in_fiber() {}
#endif
};

Fiber::Fiber(std::function<void()> body) : state_(std::make_unique<State>()) {
  state_->body = std::move(body);
  state_->stack =
      mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (state_->stack == MAP_FAILED) throw std::bad_alloc();
  const auto self = reinterpret_cast<uintptr_t>(this);
#if defined(__x86_64__)
  // A stack as pk_switch_stack leaves it: six registers, of which rbx holds the fiber, and where to return to.
  auto** top = reinterpret_cast<void**>(static_cast<char*>(state_->stack) + kStackBytes) - 2;
  *--top = reinterpret_cast<void*>(&pk_start_fiber);
  *--top = nullptr;                        // rbp
  *--top = reinterpret_cast<void*>(self);  // rbx
  for (int i = 0; i < 4; ++i) *--top = nullptr;
  state_->own = top;
#else
  getcontext(&state_->own);
  state_->own.uc_stack.ss_sp = state_->stack;
  state_->own.uc_stack.ss_size = kStackBytes;
  makecontext(&state_->own, reinterpret_cast<void (*)()>(&Fiber::enter), 2, static_cast<unsigned>(self >> 32U),
              static_cast<unsigned>(self));
#endif
}

Fiber::~Fiber() { munmap(state_->stack, kStackBytes); }

void Fiber::enter(unsigned high, unsigned low) {
  reinterpret_cast<Fiber*>((static_cast<uintptr_t>(high) << 32U) | low)->loop();
}

void Fiber::loop() {
  state_->back_in_fiber();
  for (;;) {
    state_->body();
    suspend();
  }
}

void Fiber::resume() {
  state_->leave_scheduler();
#if defined(__x86_64__)
  pk_switch_stack(&state_->scheduler, state_->own);
#else
  swapcontext(&state_->scheduler, &state_->own);
#endif
  state_->back_in_scheduler();
}

void Fiber::suspend() {
  state_->leave_fiber();
#if defined(__x86_64__)
  pk_switch_stack(&state_->own, state_->scheduler);
#else
  swapcontext(&state_->own, &state_->scheduler);
#endif
  state_->back_in_fiber();
}

}  // namespace pk::emulation

#if defined(__x86_64__)
extern "C" void pk_enter_fiber(void* fiber) { static_cast<pk::emulation::Fiber*>(fiber)->loop(); }
#endif
