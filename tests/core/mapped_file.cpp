#include "core/mapped_file.h"

#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::test;

TEST_CASE("a file's bytes are in memory, and changing them leaves the file as it is") {
  const TempDir folder;
  const auto path = folder.write("a", "abc");
  const MappedFile file(path);
  REQUIRE(file.bytes() == "abc");
  const_cast<char*>(file.bytes().data())[1] = 'x';
  CHECK(file.bytes() == "axc");
  CHECK(slurp(path) == "abc");
  CHECK(MappedFile(folder.write("empty", "")).bytes().empty());
}

TEST_CASE("what is no file is an error that names it") {
  const TempDir folder;
  const std::string missing = (folder / "missing").string();
  CHECK(input_error([&] { MappedFile file(missing); }) ==
        missing + ": cannot be read: No such file or directory");
  CHECK(input_error([&] { MappedFile file(folder.path()); }) ==
        folder.path().string() + ": is not a file");
}
