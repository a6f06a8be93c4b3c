#include "bindings/errors.h"

#include <chrono>

#include "core/interrupt.h"
#include "strata/core/error.h"

namespace nb = nanobind;

namespace strata::python {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPause = std::chrono::milliseconds(50);

/// Only the thread that Python called asks; those that the library starts have no Python state.
thread_local bool asks = false;
thread_local Clock::time_point next_time;

void run_signal_handlers() {
  if (!asks) return;
  const auto now = Clock::now();
  if (now < next_time) return;
  next_time = now + kPause;
  const nb::gil_scoped_acquire held;
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

void translate(const std::exception_ptr& error, void*) {
  try {
    std::rethrow_exception(error);
  } catch (const InputError& wrong) {
    PyErr_SetString(PyExc_ValueError, wrong.what());
  } catch (const WorkError& failed) {
    PyErr_SetString(PyExc_OSError, failed.what());
  }
}

}  // namespace

void register_errors() {
  nb::register_exception_translator(translate);
  set_interrupt_check(run_signal_handlers);
}

LongCall::LongCall() {
  next_time = Clock::now() + kPause;
  asks = true;
}

LongCall::~LongCall() {
  asks = false;
}

}  // namespace strata::python
