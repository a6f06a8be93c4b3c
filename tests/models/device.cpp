#include "models/device.h"

#include "catch.h"
#include "strata/core/error.h"

using namespace strata;
using namespace strata::models;
using Catch::Matchers::Contains;

TEST_CASE("a device is the processor or a CUDA device that is there, and others are refused") {
  CHECK(parse_device("cpu") == torch::Device(torch::kCPU));
  CHECK_THROWS_WITH(parse_device("gpu"), Contains("device \"gpu\"") && Contains("\"cuda:N\""));
  CHECK_THROWS_AS(parse_device("cuda:x"), InputError);
  if (!torch::cuda::is_available()) {
    CHECK_THROWS_WITH(parse_device("cuda"),
                      Contains("built without CUDA") || Contains("no device was found"));
  }
  CHECK_THAT(describe_torch(), Contains("LibTorch ") && Contains("BLAS: ") && Contains("cpu"));
  reset_peak_memory(torch::kCPU);
  CHECK(peak_memory(torch::kCPU) > (std::int64_t{1} << 20));
}
