#include "data/datasets/classes.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "strata/core/error.h"

namespace strata::data {

std::vector<std::string> LabelFields::read(ObjectReader& reader) {
  const bool one = reader.has("label"), several = reader.has("labels");
  if (one && several) reader.fail("labels", "stands beside \"label\"; an image has one of the two");
  if (!multi_label_) {
    if (!one && !several) reader.missing("label", "a text, or a list of texts as \"labels\",");
    multi_label_ = several;
  }
  if (*multi_label_ && one)
    reader.fail("label", "the images before it have \"labels\", lists of texts");
  if (!*multi_label_ && several)
    reader.fail("labels", "the images before it have \"label\", a text each");
  if (!*multi_label_) return {reader.filled_text("label")};
  auto labels = reader.filled_texts("labels", 0);
  std::set<std::string> seen;
  for (const std::string& label : labels)
    if (!seen.insert(label).second) reader.fail("labels", "\"" + label + "\" stands twice");
  return labels;
}

void settle_classes(Manifest& manifest) {
  if (manifest.classes.empty()) {
    std::set<std::string> labels;
    for (const Example& example : manifest.examples)
      labels.insert(example.labels.begin(), example.labels.end());
    manifest.classes.assign(labels.begin(), labels.end());
  }
  if (manifest.classes.empty())
    throw InputError(manifest.folder.string() + ": no image in it has a label");
  std::unordered_map<std::string, std::size_t> places;
  for (const std::string& name : manifest.classes) places.emplace(name, places.size());
  for (Example& example : manifest.examples)
    std::sort(
        example.labels.begin(), example.labels.end(),
        [&](const std::string& a, const std::string& b) { return places.at(a) < places.at(b); });
}

void join_classes(Manifest& manifest, const std::string& part,
                  const std::vector<std::string>& classes, bool multi_label) {
  if (manifest.has_labels() && manifest.multi_label != multi_label)
    throw InputError(manifest.folder.string() + ": \"" + part + "\" has " +
                     (multi_label ? "any number of labels" : "one label") +
                     " an image, the sets before it " +
                     (multi_label ? "one" : "any number of them") + "; read them apart");
  manifest.multi_label = multi_label;
  const std::set<std::string> known(manifest.classes.begin(), manifest.classes.end());
  for (const std::string& name : classes)
    if (known.count(name) == 0) manifest.classes.push_back(name);
}

}  // namespace strata::data
