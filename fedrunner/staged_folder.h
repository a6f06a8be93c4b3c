#pragma once
/// \file
/// A folder of files that appears whole or not at all.

#include <filesystem>
#include <string>
#include <vector>

namespace strata::fedrunner {

/// Files are written into a folder under another name, which `commit` puts in the place of
/// `destination`. A missing destination appears at once, with all files. Into one that is there
/// (which may be a mount or hold other files) the files are moved one by one, `last` at the end: it
/// is what says that the others are whole. Destruction without a commit removes what was written;
/// what a killed process left, `remove_stale_stages` does.
class StagedFolder {
 public:
  /// @throws WorkError where it cannot be made.
  StagedFolder(std::filesystem::path destination, std::string last);
  ~StagedFolder();
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;

  /// Where to write.
  const std::filesystem::path& path() const { return stage_; }
  /// @throws InputError where the destination has come to be meanwhile, WorkError on other
  /// failures.
  void commit();

 private:
  std::filesystem::path destination_, stage_;
  std::string last_;
  bool inside_ = false;  ///< the destination, which is there
  int descriptor_ = -1;  ///< of the stage, locked while this process lives
};

/// Removes the stages that no living process has, and files that were moved out of one when it was
/// killed. @returns whether there was one.
bool remove_stale_stages(const std::filesystem::path& destination, const std::string& last);

}  // namespace strata::fedrunner
