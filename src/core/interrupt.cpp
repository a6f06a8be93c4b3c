#include "core/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace strata {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM};
std::atomic<int> noted{0};
std::atomic<void (*)()> asked{nullptr};
static_assert(std::atomic<int>::is_always_lock_free);  // or the handler could not use it

extern "C" void note(int signal) {
  int none = 0;
  if (noted.compare_exchange_strong(none, signal)) return;
  // Whoever asks twice does not want to wait. The signal is blocked until this returns.
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

}  // namespace

void note_interrupts() {
  for (const int signal : kSignals) {
    struct sigaction now {};
    if (::sigaction(signal, nullptr, &now) != 0 || now.sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = note;
    sigemptyset(&action.sa_mask);
    // Reading and writing go on where they were.
    action.sa_flags = SA_RESTART;
    ::sigaction(signal, &action, nullptr);
  }
}

void stop_if_interrupted() {
  if (const int signal = noted.load(std::memory_order_relaxed)) throw Interrupted(signal);
  if (auto* check = asked.load(std::memory_order_relaxed)) check();
}

void set_interrupt_check(void (*check)()) {
  asked = check;
}

void end_by_signal(int signal) {
  ::signal(signal, SIG_DFL);
  ::raise(signal);
  ::_exit(128 + signal);  // only where the signal is blocked
}

std::string signal_name(int signal) {
  return signal == SIGINT ? "SIGINT" : "SIGTERM";
}

}  // namespace strata
