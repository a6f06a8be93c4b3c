#include "core/mapped_file.h"

#include <sys/mman.h>
#include <unistd.h>

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

TEST_CASE("released pages are the file's again, and only whole pages of a mapped file are") {
  const TempDir folder;
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const MappedFile file(folder.write("a", std::string(4 * page, 'a')));
  auto* bytes = const_cast<char*>(file.bytes().data());
  for (std::size_t at = 0; at < 4 * page; ++at) bytes[at] = 'x';
  release_pages(file.bytes().substr(page / 2, 2 * page));
  CHECK(file.bytes().substr(0, page) == std::string(page, 'x'));
  CHECK(file.bytes().substr(page, page) == std::string(page, 'a'));
  CHECK(file.bytes().substr(2 * page) == std::string(2 * page, 'x'));
  release_pages({file.bytes().data() + 2 * page, 3 * page});  // it ends behind the file
  CHECK(file.bytes().substr(2 * page) == std::string(2 * page, 'x'));
  release_pages(file.bytes().substr(3 * page));
  CHECK(file.bytes().substr(2 * page) == std::string(page, 'x') + std::string(page, 'a'));
  release_pages(file.bytes().substr(0, 10));
  release_pages({});

  // What else is in memory keeps what it has, also where a file was before.
  std::string heap(8 * page, 'h');
  release_pages(heap);
  CHECK(heap == std::string(8 * page, 'h'));
  void* fixed = nullptr;
  {
    const MappedFile gone(folder.write("b", std::string(page, 'b')));
    fixed = const_cast<char*>(gone.bytes().data());
  }
  REQUIRE(mmap(fixed, page, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == fixed);
  *static_cast<char*>(fixed) = 'k';
  release_pages({static_cast<const char*>(fixed), page});
  CHECK(*static_cast<char*>(fixed) == 'k');
  munmap(fixed, page);
}

TEST_CASE("what is no file is an error that names it") {
  const TempDir folder;
  const std::string missing = (folder / "missing").string();
  CHECK(input_error([&] { MappedFile file(missing); }) ==
        missing + ": cannot be read: No such file or directory");
  CHECK(input_error([&] { MappedFile file(folder.path()); }) ==
        folder.path().string() + ": is not a file");
}
