#pragma once
/// \file
/// A table of a tokenizer's parts: what tokenizer.json calls them, and what reads them. Internal.

#include <algorithm>
#include <string>
#include <vector>

#include "core/document.h"
#include "strata/core/error.h"

namespace strata::data {

template <typename Part>
struct PartType {
  const char* name;
  Part (*read)(ObjectReader&);
};

/// Reads the part that the mapping's "type" names. @throws InputError naming file, key and the
/// nearest name for an unknown type; for a key that the part does not have.
template <typename Part, typename Table>
Part read_part(ObjectReader& reader, const Table& table, const std::string& fallback = "") {
  std::vector<std::string> names;
  for (const auto& row : table) names.push_back(row.name);
  const std::string name =
      fallback.empty() ? reader.choice("type", names) : reader.choice("type", names, fallback);
  const auto row = std::find_if(std::begin(table), std::end(table),
                                [&](const auto& entry) { return entry.name == name; });
  Part part = row->read(reader);
  reader.finish();
  return part;
}

/// The part at a key; an empty one where the key is absent or null.
template <typename Part>
Part read_optional_part(ObjectReader& root, const std::string& key, Part (*read)(ObjectReader&)) {
  if (root.raw(key).is_null()) return {};
  ObjectReader reader = root.object(key);
  return read(reader);
}

/// The parts in a list, as each kind's "Sequence" has them.
template <typename Part>
std::vector<Part> read_parts(ObjectReader& reader, const std::string& key,
                             Part (*read)(ObjectReader&)) {
  if (!reader.has(key)) reader.missing(key, "a list");
  std::vector<Part> parts;
  for (ObjectReader& element : reader.objects(key)) parts.push_back(read(element));
  return parts;
}

/// true or false; where the key is absent or null `fallback`.
inline bool read_switch(ObjectReader& reader, const std::string& key, bool fallback) {
  return reader.raw(key).is_null() ? fallback : reader.boolean(key, fallback);
}

/// One character's text. @throws InputError
std::string read_character(ObjectReader& reader, const std::string& key);

}  // namespace strata::data
