#pragma once
/// \file
/// The values of an enumeration and their names in files, in one table.

#include <algorithm>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace strata {

/// One row a value: `Choices<Late>({{Late::drop, "drop"}, {Late::partial, "partial"}})`.
template <typename Value>
class Choices {
 public:
  Choices(std::initializer_list<std::pair<Value, const char*>> rows) {
    for (const auto& [value, name] : rows) {
      values_.push_back(value);
      names_.emplace_back(name);
    }
  }

  /// In the table's order.
  const std::vector<std::string>& names() const { return names_; }

  const std::string& name(Value value) const {
    const auto found = std::find(values_.begin(), values_.end(), value);
    if (found == values_.end()) throw std::logic_error("a value without a name");
    return names_[static_cast<std::size_t>(found - values_.begin())];
  }

  /// Of one of `names()`; whoever reads a file has refused others (ObjectReader::choice).
  Value value(const std::string& name) const {
    const auto found = std::find(names_.begin(), names_.end(), name);
    if (found == names_.end()) throw std::logic_error("\"" + name + "\" names no value");
    return values_[static_cast<std::size_t>(found - names_.begin())];
  }

 private:
  std::vector<Value> values_;
  std::vector<std::string> names_;
};

}  // namespace strata
