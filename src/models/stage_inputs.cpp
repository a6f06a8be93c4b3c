#include "models/stage_inputs.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "models/model.h"
#include "models/tensor_bytes.h"
#include "strata/core/error.h"

namespace strata::models {

using torch::Tensor;

/// Bytes that are appended, and read again.
class StageInputs::File {
 public:
  explicit File(const std::filesystem::path& folder) : folder_(folder.string()) {
    std::string name = (folder / "strata-stages-XXXXXX").string();
    descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
    if (descriptor_ < 0)
      throw InputError(folder_ + ": no file can be made there: " + std::strerror(errno));
    ::unlink(name.c_str());
  }
  ~File() { ::close(descriptor_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  /// @returns where they begin.
  std::int64_t append(std::string_view bytes) {
    const std::int64_t begin = size_;
    while (!bytes.empty()) {
      const auto done = ::pwrite(descriptor_, bytes.data(), bytes.size(), size_);
      if (done < 0) fail("written");
      size_ += done;
      bytes.remove_prefix(static_cast<std::size_t>(done));
    }
    return begin;
  }
  void read(std::int64_t offset, char* into, std::size_t size) const {
    while (size > 0) {
      const auto done = ::pread(descriptor_, into, size, offset);
      if (done <= 0) fail("read");
      offset += done;
      into += done;
      size -= static_cast<std::size_t>(done);
    }
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw WorkError(folder_ + ": the inputs of stages cannot be " + what +
                    " there: " + std::strerror(errno));
  }

  std::string folder_;
  int descriptor_ = -1;
  std::int64_t size_ = 0;
};

StageInputs::StageInputs(std::int64_t stages, const std::filesystem::path& folder)
    : file_(folder.empty() ? nullptr : std::make_unique<File>(folder)),
      states_(static_cast<std::size_t>(stages)),
      written_(static_cast<std::size_t>(stages)) {}

StageInputs::~StageInputs() = default;

void StageInputs::keep(std::int64_t stage, const State& state) {
  const auto s = static_cast<std::size_t>(stage);
  if (!file_) {
    states_[s] = state;
    return;
  }
  std::map<std::string, Written> written;
  for (const auto& [name, value] : state.values) {
    const auto before = last_.values.find(name);
    if (before != last_.values.end() && before->second.is_same(value)) {
      written[name] = last_written_.at(name);
      continue;
    }
    const Tensor bytes = value.detach().to(torch::kCPU).contiguous();
    written[name] = {torch::empty({1}, value.options()).expand(value.sizes()),
                     file_->append(bytes_of(bytes))};
  }
  states_[s].constants = state.constants;
  written_[s] = written;
  last_ = state;
  last_written_ = std::move(written);
}

State StageInputs::get(std::int64_t stage) const {
  const auto s = static_cast<std::size_t>(stage);
  State state = states_[s];
  for (const auto& [name, written] : written_[s]) {
    const auto options = written.like.options();
    Tensor value = torch::empty(written.like.sizes(), options.device(torch::kCPU));
    file_->read(written.offset, static_cast<char*>(value.data_ptr()), value.nbytes());
    state.values[name] = value.to(options.device());
  }
  return state;
}

void StageInputs::drop(std::int64_t stage) {
  const auto s = static_cast<std::size_t>(stage);
  states_[s] = {};
  written_[s].clear();
  last_ = {};
}

void set_spill(Model& model, const std::filesystem::path& folder) {
  const StageInputs trial(0, folder);
  model.set_spill(folder);
}

double StageInputs::bytes() const {
  double bytes = 0;
  for (const State& state : states_) {
    for (const auto& [name, value] : state.values) bytes += static_cast<double>(value.nbytes());
  }
  return bytes;
}

}  // namespace strata::models
