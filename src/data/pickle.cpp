#include "data/pickle.h"

#include <unordered_map>

#include "core/pickle_machine.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

/// Makes JSON of values, counting what a few bytes can share until it is more than fits in memory.
/// PathVQA's texts, whose keys and image names are shared, are three times their file's size; its
/// largest list has about 20,000 dictionaries of three entries.
class Converter {
 public:
  Converter(std::size_t file_size, const std::string& file) : texts_(file_size), file_(file) {}

  Json convert(const PickleValue& value, int depth = 0) {
    // A list can also hold itself.
    if (depth > Pickle::kMaxDepth)
      fail("nested in more than " + std::to_string(Pickle::kMaxDepth) + " levels");
    if (++values_ > Pickle::kMaxValues)
      fail("more than " + std::to_string(Pickle::kMaxValues) + " values");
    if (const auto* text = value.as<std::string_view>()) {
      count(*text);
      return Json(std::string(*text));
    }
    if (const auto* number = value.as<std::int64_t>())
      return *number < 0 ? Json(*number) : Json(static_cast<std::uint64_t>(*number));
    if (const auto* truth = value.as<bool>()) return Json(*truth);
    if (const auto* list = value.as<PickleValue::List>()) {
      Json::array_t out;
      out.reserve(list->values.size());
      for (const auto* element : list->values) out.push_back(convert(*element, depth + 1));
      return out;
    }
    if (const auto* entries = value.as<PickleValue::Dictionary>())
      return dictionary(*entries, depth);
    return Json(nullptr);  // what else the rules let pass is None
  }

 private:
  /// The last value of a key, in the place of the first.
  Json dictionary(const PickleValue::Dictionary& dictionary, int depth) {
    Json::object_t out;
    std::unordered_map<std::string_view, std::ptrdiff_t> places;
    for (const auto& [key, value] : dictionary.entries) {
      const std::string_view name = *key->as<std::string_view>();
      count(name);
      const auto [place, first] = places.emplace(name, std::distance(out.begin(), out.end()));
      if (first) out.emplace_back(std::string(name), nullptr);
      (out.begin() + place->second)->second = convert(*value, depth + 1);
    }
    return out;
  }

  void count(std::string_view text) {
    if (!texts_.take(text.size()))
      fail("its shared texts are more than " + std::to_string(PickleTexts::kMaxGrowth) +
           " times its size");
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(file_ + ": pickle: " + message);
  }

  std::int64_t values_ = 0;
  PickleTexts texts_;
  const std::string& file_;
};

}  // namespace

Json read_pickle(std::string_view bytes, const std::string& file) {
  const Pickle pickle(bytes, file, {.of = "lists, dictionaries, texts and whole numbers"});
  return Converter(bytes.size(), file).convert(pickle.root());
}

}  // namespace strata::data
