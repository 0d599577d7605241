// Stacks that one CPU thread switches between: what emulated threads run on while they wait for each other.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace pk::emulation {

class Fiber {
 public:
  // `body` is called again on the same stack each time that it returns and the fiber is resumed.
  explicit Fiber(std::function<void()> body);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void resume();   // from the scheduler: go on in the fiber until it suspends
  void suspend();  // from the fiber: go back to the scheduler
  void loop();     // what the fiber runs; never returns

 private:
  struct State;
  static void enter(unsigned high, unsigned low);
  std::unique_ptr<State> state_;
};

}  // namespace pk::emulation
