#pragma once
/// \file
/// Ctrl-C and its like: long work that ends in good order.

#include <string>

namespace strata {

/// SIGINT or SIGTERM has come. Not a std::exception, so that no handler of errors takes it for one.
class Interrupted {
 public:
  explicit Interrupted(int signal) : signal_(signal) {}
  int signal() const { return signal_; }

 private:
  int signal_;
};

/// From here on the first SIGINT or SIGTERM is only noted, for stop_if_interrupted; a second one
/// ends the process at once. A signal that is ignored (nohup, a shell's background) stays so.
void note_interrupts();

/// @throws Interrupted if a signal was noted. Long loops call it, between what belongs together; it
/// costs two loads.
void stop_if_interrupted();

/// For programs that have handlers of signals themselves, as Python has: from here on
/// stop_if_interrupted also calls `check`, from every thread that works, and what it throws ends
/// the work. nullptr: none.
void set_interrupt_check(void (*check)());

/// Ends the process by the signal itself, as if it had never been caught: shells and schedulers see
/// from it (as 128 + signal) that the work was stopped and did not fail.
[[noreturn]] void end_by_signal(int signal);

/// "SIGINT", "SIGTERM".
std::string signal_name(int signal);

}  // namespace strata
