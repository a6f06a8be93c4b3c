#pragma once
/// \file
/// Output that is whole or absent: written beside its destination under a temporary name, flushed
/// to the disk, then renamed over it.

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace strata {

/// Where writing to `path` writes: symbolic links are followed, also one that leads to a file that
/// is not there yet. @throws WorkError for links that lead in a circle.
std::filesystem::path write_target(const std::filesystem::path& path);

/// The folder for temporary files: $TMPDIR, or /tmp. @throws WorkError where it is no folder.
std::filesystem::path temporary_folder();

/// A file being written. `commit()` makes it appear under its name; destruction without a commit
/// removes the temporary file. Folders on the way are created.
/// A symbolic link stays one, and what it leads to is written.
/// @throws WorkError naming the file and why (a full disk, no permission, a folder of that name).
/// \code
/// AtomicFile file("results/table.csv");  // nothing of that name yet
/// file.stream() << "client,score\n";
/// file.commit();  // now it is there, whole
/// assert(read_file("results/table.csv") == "client,score\n");
/// \endcode
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path destination);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  std::ostream& stream() { return stream_; }
  /// Flush, fsync and rename. Without `flush_to_disk` the file is as whole, but a power failure may
  /// lose it: for thousands of small files that can be made again.
  void commit(bool flush_to_disk = true);

 private:
  std::filesystem::path destination_, temporary_;
  std::ofstream stream_;
  bool committed_ = false;
};

/// Writes `content` to `destination`, whole or not at all. @throws WorkError
void write_file(const std::filesystem::path& destination, std::string_view content,
                bool flush_to_disk = true);

/// The whole file. @throws InputError if it cannot be read.
std::string read_file(const std::filesystem::path& path);

}  // namespace strata
