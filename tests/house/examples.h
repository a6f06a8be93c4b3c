#pragma once
// What the headers' examples stand in.

#include <cmath>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "catch.h"
#include "strata/core/atomic_file.h"
#include "temp_dir.h"

#undef assert
#define assert(...) CHECK((__VA_ARGS__))

/// A folder of the example's own, in which it runs.
class ExampleFolder {
 public:
  ExampleFolder() { std::filesystem::current_path(dir_.path()); }
  ~ExampleFolder() { std::filesystem::current_path(before_); }

 private:
  const std::filesystem::path before_ = std::filesystem::current_path();
  const strata::test::TempDir dir_;
};
