#pragma once
/// \file
/// The library's errors and Python's signals.

#include <nanobind/nanobind.h>

namespace strata::python {

/// InputError becomes ValueError and WorkError OSError, each with the library's text.
void register_errors();

/// A long call: without the GIL, so that other Python threads go on, and with Python's handlers of
/// signals run twenty times a second, so that Ctrl-C ends it as it does other calls. The library
/// asks wherever it calls stop_if_interrupted.
class LongCall {
 public:
  LongCall();
  ~LongCall();
  LongCall(const LongCall&) = delete;
  LongCall& operator=(const LongCall&) = delete;

 private:
  nanobind::gil_scoped_release released_;
};

}  // namespace strata::python
