// libFuzzer's entry point for tokenizer.json and the texts that are given to it. The input is the
// file, then a zero byte and a text; without one, a text that has a bit of everything. The reader
// and the tokenizer may refuse with InputError, in one line; anything else (another exception, a
// sanitizer's report, an id that has no token) is a defect.
//
//   fuzz_tokenizer -runs=20000 -seed=1 -dict=tests/fuzz/tokenizer.dict tests/fuzz/corpus/tokenizer
//   fuzz_tokenizer -max_total_time=3600 -dict=tests/fuzz/tokenizer.dict MY_CORPUS
//   tests/fuzz/corpus/tokenizer

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "data/text/tokenizer.h"
#include "strata/core/error.h"

namespace {

const std::string& file_of_this_run() {
  static const struct File {
    std::string path;
    File() {
      // In memory where that is possible: a file a run would otherwise be what takes the time.
      const std::filesystem::path memory = "/dev/shm";
      const auto parent =
          std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path();
      path = (parent / "strata-fuzz-XXXXXX").string();
      if (mkstemp(path.data()) < 0) std::abort();
    }
    ~File() { std::filesystem::remove(path); }
  } file;
  return file.path;
}

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const strata::data::Tokenizer& tokenizer, const std::string& text) {
  for (const bool special : {true, false}) {
    const auto ids = tokenizer.encode(text, special);
    for (const std::int64_t id : ids) {
      require(id >= 0 && id < tokenizer.size());
      require(tokenizer.id_of(tokenizer.token(id)).has_value());
    }
    tokenizer.decode(ids, special);
  }
  for (const auto& token : tokenizer.added_tokens())
    require(tokenizer.id_of(token.content) == token.id &&
            tokenizer.token(token.id) == token.content);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = input.find('\0');
  const std::string text = zero == std::string::npos
                               ? " ab  a\tb\n\xC3\xA9 e\xCC\x81 \xE4\xB8\xAD\xE6\x96\x87 1,234 "
                                 "<s>don't</s> \xF0\x9F\x98\x80\xFF aaaa"
                               : input.substr(zero + 1);
  std::ofstream(file_of_this_run(), std::ios::binary | std::ios::trunc) << input.substr(0, zero);
  try {
    check(strata::data::Tokenizer(file_of_this_run()), text);
  } catch (const strata::InputError& error) {
    require(std::string(error.what()).find('\n') == std::string::npos);
  }
  return 0;
}
