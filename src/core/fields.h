#pragma once
/// \file
/// Field lists: what is to be known of a section's keys stands in one list, from which the section
/// is read, checked, written with its defaults filled in, documented, and taken from an option's
/// text (`--peft lora:rank=8,targets=query+value`). Defaults are those of the struct. Internal.
///
///     struct Lora {
///       std::int64_t rank = 8;
///       std::vector<std::string> targets = {"query", "value"};
///     };
///     const Fields<Lora> fields({
///         field("rank", &Lora::rank, whole(1), "rows of A"),
///         field("targets", &Lora::targets, some_of({"query", "key", "value"}), "layers"),
///     });
///     Lora lora = fields.read(reader.object("lora"));
///     lora = fields.parse("rank=4,targets=key", "--peft lora:rank=4,targets=key");
///     Json json = fields.write(lora);                        // {"rank": 4, "targets": ["key"]}
///     std::string table = markdown_table(fields.rows());

#include <concepts>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/choices.h"
#include "core/document.h"

namespace strata {

/// How the text of an option becomes a value.
enum class Form { kNumber, kBoolean, kText, kList, kMapping };

/// What the values of a key are.
template <typename Value>
struct Kind {
  /// Without a fallback the key is required. @throws InputError
  std::function<Value(ObjectReader&, const std::string& key, const std::optional<Value>& fallback)>
      read;
  std::function<Json(const Value&)> write;
  Form form = Form::kText;
  std::string allowed = "";  ///< Markdown, for the documentation
};

/// "≥ 1", "1 … 99999": from what is a limit of the type alone, no end is shown.
std::string range_text(std::int64_t low, std::int64_t high);
std::string range_text(double low, double high);

constexpr std::int64_t kMostCount = std::numeric_limits<int>::max();

/// Whole numbers from `low` to `high`.
template <std::integral Value = std::int64_t>
Kind<Value> whole(std::int64_t low, std::int64_t high = kMostCount) {
  const auto read = [=](ObjectReader& reader, const std::string& key,
                        const std::optional<Value>& fallback) {
    std::optional<std::int64_t> other;
    if (fallback) other = static_cast<std::int64_t>(*fallback);
    return static_cast<Value>(reader.integer(key, low, high, other));
  };
  return {read, [](const Value& value) { return Json(value); }, Form::kNumber,
          range_text(low, high)};
}
/// The seed of a random stream.
Kind<std::uint64_t> seed_number();
Kind<double> number(double low, double high = std::numeric_limits<double>::infinity());
Kind<bool> boolean();
Kind<std::string> text();
/// One of names that are known when the list is made; `allowed` documents them.
Kind<std::string> one_of(const std::vector<std::string>& names, const std::string& allowed = "");
Kind<std::vector<std::string>> texts();
/// Of which every one may stand once.
Kind<std::vector<std::string>> distinct_texts();
/// A list of these names, of which every one may stand once.
Kind<std::vector<std::string>> some_of(const std::vector<std::string>& names);
/// A value of an enumeration, by its name.
template <typename Value>
Kind<Value> choice(const Choices<Value>& choices) {
  const Kind<std::string> names = one_of(choices.names());
  const auto read = [=](ObjectReader& reader, const std::string& key,
                        const std::optional<Value>& fallback) {
    std::optional<std::string> other;
    if (fallback) other = choices.name(*fallback);
    return choices.value(names.read(reader, key, other));
  };
  return {read, [=](const Value& value) { return Json(choices.name(value)); }, Form::kText,
          names.allowed};
}

/// A row of the documentation, in Markdown.
struct FieldRow {
  std::string key, fallback, allowed, help;
};
/// | key | default | allowed | meaning |
std::string markdown_table(const std::vector<FieldRow>& rows);
/// A value as it stands in such a table: `0.3`, `[query, value]`; "none" for what is empty.
std::string value_text(const Json& value);

/// "rank=8,targets=query+value" as a document with one mapping. Keys that `forms` does not have are
/// taken as texts. @throws InputError beginning with `where`: no '=', a key that stands twice.
Document option_document(const std::string& text, const std::string& where,
                         const std::map<std::string, Form>& forms);
/// What `option_document` reads back: numbers, booleans, texts and lists of texts.
std::string option_text(const Json& mapping);

template <typename Section>
class Fields;

/// One key of a section, which is read into a `Section`: made by `field` or `section`, and by what
/// is said of it further, as in `field(…).required()`.
template <typename Section>
struct Field {
  using Condition = std::function<bool(const Section&)>;

  std::string key, help;
  std::string allowed = "";    ///< documents the values
  std::string described = "";  ///< documents the default; empty: by its value
  Form form = Form::kText;
  bool needed = false, last = false, only_changed = false;
  Condition needed_if = {}, write_if = {};
  std::function<void(Section&)> set_default = {};
  /// What the section holds before is the default.
  std::function<void(ObjectReader&, Section&, bool needed)> read = {};
  std::function<Json(const Section&)> write = {};  ///< null: there is nothing to write
  /// Of a mapping: the rows of its keys, with the defaults of such a section.
  std::function<std::vector<FieldRow>(const Section&)> rows_below = {};

  /// The key has no default.
  Field required() const {
    return changed([](Field& field) { field.needed = true; });
  }
  /// The key has no default in a section that, read to its end, is such. `when` documents it:
  /// "required for `adam`".
  Field required_if(Condition condition, const std::string& when) const {
    return changed([&](Field& field) { field.needed_if = condition, field.described = when; });
  }
  /// The default follows from keys that are read before this one: `set` stores it in the section.
  Field default_of(std::function<void(Section&)> set, const std::string& described_as) const {
    return changed([&](Field& field) { field.set_default = set, field.described = described_as; });
  }
  /// Documents the default in other words than its value.
  Field default_text(const std::string& described_as) const {
    return changed([&](Field& field) { field.described = described_as; });
  }
  /// Documents the key in other words.
  Field meaning(const std::string& text) const {
    return changed([&](Field& field) { field.help = text; });
  }
  /// Written only where it is not what an untouched section writes.
  Field written_if_changed() const {
    return changed([](Field& field) { field.only_changed = true; });
  }
  /// Written only where the section is such.
  Field written_if(Condition condition) const {
    return changed([&](Field& field) { field.write_if = condition; });
  }
  /// Never written: no result depends on it.
  Field not_written() const {
    return written_if([](const Section&) { return false; });
  }
  /// Read after all keys that are not marked so, wherever it stands: its defaults depend on them.
  Field read_last() const {
    return changed([](Field& field) { field.last = true; });
  }

  /// The same key for a section that holds this one without a key of its own.
  template <typename Outer>
  Field<Outer> within(Section Outer::*part) const {
    Field<Outer> outer{key, help, allowed, described, form, needed, last, only_changed};
    if (needed_if) outer.needed_if = [f = needed_if, part](const Outer& s) { return f(s.*part); };
    if (write_if) outer.write_if = [f = write_if, part](const Outer& s) { return f(s.*part); };
    if (set_default) outer.set_default = [f = set_default, part](Outer& s) { f(s.*part); };
    outer.read = [f = read, part](ObjectReader& r, Outer& s, bool is) { f(r, s.*part, is); };
    outer.write = [f = write, part](const Outer& s) { return f(s.*part); };
    if (rows_below)
      outer.rows_below = [f = rows_below, part](const Outer& s) { return f(s.*part); };
    return outer;
  }

 private:
  template <typename Change>
  Field changed(Change change) const {
    Field field = *this;
    change(field);
    return field;
  }
};

/// The keys of a section, in the order in which they are read, written and documented.
template <typename Section>
class Fields {
 public:
  /// Is called when all keys are read, for what no single one can tell; may change the section.
  using Complete = std::function<void(ObjectReader&, Section&)>;

  explicit Fields(std::vector<Field<Section>> fields, Complete complete = {})
      : fields_(std::move(fields)), complete_(std::move(complete)) {}

  /// Reads a mapping; `section` begins with the defaults. @throws InputError for a key that is
  /// unknown, missing, of another type or out of range.
  Section read(ObjectReader reader, Section section = {}) const {
    for (const bool last : {false, true}) {
      for (const auto& field : fields_) {
        if (field.last != last) continue;
        if (field.set_default) field.set_default(section);
        field.read(reader, section, field.needed);
      }
    }
    for (const auto& field : fields_)
      if (field.needed_if && !reader.has(field.key) && field.needed_if(section))
        field.read(reader, section, true);
    if (complete_) complete_(reader, section);
    reader.finish();
    return section;
  }

  /// The same of an option's text, "rank=8,targets=query+value"; "" gives the defaults. `where`
  /// begins messages. @throws InputError
  Section parse(const std::string& text, const std::string& where, Section section = {}) const {
    std::map<std::string, Form> forms;
    for (const auto& field : fields_) forms[field.key] = field.form;
    const Document document = option_document(text, where, forms);
    return read(ObjectReader(document), std::move(section));
  }

  /// A mapping that `read` reads back.
  Json write(const Section& section) const {
    const Section usual{};
    Json json = Json::object();
    for (const auto& field : fields_) {
      if (field.write_if && !field.write_if(section)) continue;
      Json value = field.write(section);
      if (value.is_null() || (field.only_changed && value == field.write(usual))) continue;
      json[field.key] = std::move(value);
    }
    return json;
  }

  /// A row a key. Those of a mapping come as `mapping.key`, after a row of its own where it has a
  /// meaning of its own.
  std::vector<FieldRow> rows(const Section& defaults = {}) const {
    std::vector<FieldRow> rows;
    for (const auto& field : fields_) {
      if (!field.rows_below || !field.help.empty()) rows.push_back(row(field, defaults));
      if (!field.rows_below) continue;
      for (FieldRow below : field.rows_below(defaults)) {
        below.key = field.key + "." + below.key;
        rows.push_back(std::move(below));
      }
    }
    return rows;
  }

  /// One of the fields, for another list. @throws std::logic_error
  const Field<Section>& at(const std::string& key) const {
    for (const auto& field : fields_)
      if (field.key == key) return field;
    throw std::logic_error("no field has the key " + key);
  }

 private:
  static FieldRow row(const Field<Section>& field, const Section& defaults) {
    std::string fallback = field.needed ? "required" : field.described;
    if (fallback.empty()) fallback = value_text(field.write(defaults));
    return {field.key, fallback, field.allowed, field.help};
  }

  std::vector<Field<Section>> fields_;
  Complete complete_;
};

/// A key whose value is kept in `member`; `help` is Markdown, without a full stop.
template <typename Section, typename Value>
Field<Section> field(const std::string& key, Value Section::*member, const Kind<Value>& kind,
                     const std::string& help) {
  Field<Section> field{key, help, kind.allowed, "", kind.form};
  field.read = [=](ObjectReader& reader, Section& section, bool needed) {
    section.*member =
        kind.read(reader, key, needed ? std::nullopt : std::optional<Value>(section.*member));
  };
  field.write = [=](const Section& section) { return kind.write(section.*member); };
  return field;
}

/// A mapping with a list of its own; its keys have their defaults where it is missing.
template <typename Section, typename Part>
Field<Section> section(const std::string& key, Part Section::*member, const Fields<Part>& fields,
                       const std::string& help = "") {
  Field<Section> field{key, help, "a mapping", "", Form::kMapping};
  field.read = [=](ObjectReader& reader, Section& whole, bool needed) {
    whole.*member = fields.read(reader.object(key, needed), std::move(whole.*member));
  };
  field.write = [=](const Section& whole) { return fields.write(whole.*member); };
  field.rows_below = [=](const Section& whole) { return fields.rows(whole.*member); };
  return field;
}

/// The same of a mapping that may be left out, which is not the same as an empty one. What the
/// section holds before is not looked at but for its defaults.
template <typename Section, typename Part>
Field<Section> section(const std::string& key, std::optional<Part> Section::*member,
                       const Fields<Part>& fields, const std::string& help = "") {
  Field<Section> field{key, help, "a mapping", "", Form::kMapping};
  field.read = [=](ObjectReader& reader, Section& whole, bool needed) {
    Part defaults = (whole.*member).value_or(Part{});
    (whole.*member).reset();
    if (needed || reader.has(key))
      whole.*member = fields.read(reader.object(key, true), std::move(defaults));
  };
  field.write = [=](const Section& whole) {
    return whole.*member ? fields.write(*(whole.*member)) : Json();
  };
  field.rows_below = [=](const Section& whole) {
    return fields.rows((whole.*member).value_or(Part{}));
  };
  return field;
}

}  // namespace strata
