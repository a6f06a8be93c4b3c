// libFuzzer's entry point for the reader of PyTorch's checkpoints. The first byte says what the
// rest is: a file, a pickle that is put into one beside two storages of 24 and 8 bytes (mutations
// of a zip seldom are one), or a pickle of lists and texts as NumPy's files have it. A reader may
// refuse with InputError; anything else (another exception, a sanitizer's report, a tensor that is
// not within the file's bytes) is a defect.
//
//   fuzz_torch_files -runs=10000 -seed=1 tests/fuzz/corpus/torch_files   as the test runs it
//   fuzz_torch_files -max_total_time=3600 -dict=tests/fuzz/torch_files.dict MY_CORPUS
//     tests/fuzz/corpus/torch_files                                      by hand

#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <string>

#include "core/pickle_machine.h"
#include "core/torch_file.h"
#include "strata/core/error.h"
#include "support/torch_zip.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_file(const std::string& bytes) {
  const strata::TorchFile file(bytes, "fuzz");
  require(!file.tensors().empty());
  for (const strata::TensorEntry& entry : file.tensors()) {
    require(file.find(entry.name) == &entry);
    require(file.layout(entry).strides.size() == entry.shape.size());
    const std::string_view data = file.bytes(entry);
    require(data.size() == entry.byte_count());
    // The sanitizer looks at every byte that is read.
    volatile int sum = std::accumulate(data.begin(), data.end(), 0);
    (void)sum;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  try {
    switch (data[0] % 3) {
      case 0:
        check_file(bytes);
        break;
      case 1:
        check_file(strata::test::torch_zip({{"data.pkl", bytes},
                                            {"data/0", std::string(24, '\1')},
                                            {"data/1", std::string(8, '\2')}}));
        break;
      default:
        strata::Pickle(bytes, "fuzz", {.of = "lists"});
    }
  } catch (const strata::InputError&) {
  }
  return 0;
}
