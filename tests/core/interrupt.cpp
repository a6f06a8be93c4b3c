#include "core/interrupt.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "catch.h"

using namespace strata;

namespace {

/// The wait status of a process that does `work`.
int status_after(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

}  // namespace

TEST_CASE("a noted signal ends work where it asks, and the process by that signal") {
  for (const int signal : {SIGINT, SIGTERM}) {
    const int status = status_after([&] {
      note_interrupts();
      stop_if_interrupted();
      ::raise(signal);
      try {
        stop_if_interrupted();
      } catch (const Interrupted& interrupted) {
        if (interrupted.signal() == signal) end_by_signal(interrupted.signal());
      }
    });
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == signal);
  }
  CHECK(signal_name(SIGINT) == "SIGINT");
  CHECK(signal_name(SIGTERM) == "SIGTERM");
}

TEST_CASE("the first signal is only noted, a second one ends the process at once") {
  CHECK(status_after([] {
          note_interrupts();
          ::raise(SIGINT);
        }) == 0);
  for (const int second : {SIGINT, SIGTERM}) {
    const int status = status_after([&] {
      note_interrupts();
      ::raise(SIGINT);
      ::raise(second);
    });
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == second);
  }
}

TEST_CASE("an ignored signal stays ignored") {
  CHECK(status_after([] {
          ::signal(SIGINT, SIG_IGN);
          note_interrupts();
          ::raise(SIGINT);
          ::raise(SIGINT);
          stop_if_interrupted();
        }) == 0);
}

TEST_CASE("a program's own check is asked, and what it throws ends the work") {
  static int asked = 0;
  struct Enough {};
  set_interrupt_check([] {
    if (++asked == 3) throw Enough();
  });
  stop_if_interrupted();
  stop_if_interrupted();
  CHECK_THROWS_AS(stop_if_interrupted(), Enough);
  set_interrupt_check(nullptr);
  stop_if_interrupted();
  CHECK(asked == 3);
}
