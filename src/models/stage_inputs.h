#pragma once
/// \file
/// What enters the stages of a pass, kept until each stage is run again: the checkpoints of
/// recomputation (Chen et al. 2016, arXiv 1604.06174).

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/batch.h"

namespace strata::models {

class Model;

/// Where stage inputs are kept: in memory, or in a file of a folder.
class StageInputs {
 public:
  /// With a folder the values of states go to a file there, which has no name and is gone with
  /// this object, however the process ends. A value that the stage below passed on unchanged is
  /// written once. What is of the batch alone (State::constants) stays in memory.
  /// @throws InputError: nothing can be written into the folder
  explicit StageInputs(std::int64_t stages, const std::filesystem::path& folder = {});
  ~StageInputs();
  StageInputs(const StageInputs&) = delete;
  StageInputs& operator=(const StageInputs&) = delete;

  /// Stages come from the bottom up. @throws WorkError: the file cannot grow
  void keep(std::int64_t stage, const State& state);
  /// What was kept, on its device, number for number; an empty state where nothing was.
  /// @throws WorkError: the file cannot be read
  State get(std::int64_t stage) const;
  void drop(std::int64_t stage);
  /// In memory, of the values that are kept there; a tensor of several states counts for each.
  double bytes() const;

 private:
  class File;
  struct Written {
    torch::Tensor like;  ///< of its shape, type and device, with the memory of one number
    std::int64_t offset = 0;
  };
  std::unique_ptr<File> file_;  ///< none where states stay in memory
  std::vector<State> states_;   ///< by stage; of those in the file the constants
  std::vector<std::map<std::string, Written>> written_;
  State last_;  ///< kept last, and `last_written_` its values in the file
  std::map<std::string, Written> last_written_;
};

/// Model::set_spill. @throws InputError: nothing can be written into the folder
void set_spill(Model& model, const std::filesystem::path& folder);

}  // namespace strata::models
