// libFuzzer's entry point for the reader of safetensors files, which is also that of the messages
// between a server and its clients: a JSON text beside tensors. The first byte says what the rest
// is: a file, or the JSON header of one whose data are 64 bytes. A reader may refuse with
// InputError; anything else (another exception, a sanitizer's report, a tensor that is not within
// the file's bytes) is a defect.
//
//   fuzz_safetensors -runs=10000 -seed=1 tests/fuzz/corpus/safetensors   as the test runs it
//   fuzz_safetensors -max_total_time=3600 MY_CORPUS tests/fuzz/corpus/safetensors   by hand

#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <string>

#include "core/document.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_file(const std::string& bytes) {
  const strata::SafetensorsFile file(bytes, "fuzz");
  for (const strata::TensorEntry& entry : file.tensors()) {
    require(file.find(entry.name) == &entry);
    const std::string_view data = file.bytes(entry);
    require(data.size() == entry.byte_count());
    require(data.size() <= bytes.size());
    // The sanitizer looks at every byte that is read.
    volatile int sum = std::accumulate(data.begin(), data.end(), 0);
    (void)sum;
  }
  const auto text = file.metadata().find("strata");
  if (text != file.metadata().end()) strata::parse_json(text->second, "fuzz");
}

std::string with_length(const std::string& header) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> 8 * i);
  return bytes + header + std::string(64, '\1');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  try {
    check_file(data[0] % 2 == 0 ? bytes : with_length(bytes));
  } catch (const strata::InputError&) {
  }
  return 0;
}
