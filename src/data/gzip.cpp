#include "data/gzip.h"

#include <zlib.h>

#include <memory>

#include "strata/core/error.h"

namespace strata::data {
namespace {

constexpr std::size_t kMostUnpacked = std::size_t{1} << 30;
constexpr std::size_t kPieceUnpacked = std::size_t{1} << 20;

}  // namespace

std::string read_gzip(const std::filesystem::path& file) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> packed(gzopen(file.c_str(), "rb"), gzclose);
  if (!packed) throw InputError(file.string() + ": cannot be read");
  std::string text;
  for (;;) {
    const std::size_t before = text.size();
    text.resize(before + kPieceUnpacked);
    const int read =
        gzread(packed.get(), text.data() + before, static_cast<unsigned>(kPieceUnpacked));
    int problem = Z_OK;
    const char* what = gzerror(packed.get(), &problem);
    // A file that ends too early says so only here.
    if (read < 0 || (problem != Z_OK && problem != Z_STREAM_END))
      throw InputError(file.string() + ": the packed file is damaged (" + what + ")");
    text.resize(before + static_cast<std::size_t>(read));
    if (text.size() > kMostUnpacked) throw InputError(file.string() + ": more than 1 GiB unpacked");
    if (read == 0) return text;
  }
}

}  // namespace strata::data
