#pragma once
/// \file
/// A file that may be packed by gzip (RFC 1952), from its beginning, in pieces. Internal.

#include <cstddef>
#include <cstdint>
#include <istream>
#include <memory>
#include <string>
#include <string_view>

namespace strata::data {

/// What is not packed is passed on as it is. A packed file may have several members, as bgzip and
/// pigz write them. Nothing but what is asked for is unpacked, so that the caller sets the limit.
class GzipStream {
 public:
  /// `name` begins errors. The stream must outlive this.
  GzipStream(std::istream& in, std::string name);
  ~GzipStream();

  /// The next bytes, `count` of them or as many as are left. @throws InputError: the packed file is
  /// damaged, ends too early, or goes on behind its end with something that is no member.
  std::size_t read(char* to, std::size_t count);

 private:
  struct Unpacking;
  std::size_t read_plain(char* to, std::size_t count);

  std::istream& in_;
  std::string name_;
  std::unique_ptr<Unpacking> unpacking_;  ///< null of a file that is not packed
};

/// `bytes` as a gzip file whose bytes depend on nothing else: no time and no name in it. `packed`
/// by zlib, whose output differs between its versions, or else in stored blocks, which are the same
/// everywhere and as long as the bytes are.
std::string gzip_file(std::string_view bytes, bool packed);

}  // namespace strata::data
