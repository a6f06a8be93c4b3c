#pragma once
/// \file
/// What the readers of published sets share: records with a place to begin an error with, images
/// that must exist, published splits made into those of training and test. Internal.

#include <map>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/document.h"
#include "data/manifest.h"

namespace strata::data {

/// Until `settle_validation`, an example of a published validation set has this split.
inline constexpr const char* kValidation = "validation";

/// `text` without white space (ASCII) at its ends.
std::string trimmed(const std::string& text);

/// `text` with every run of white space (ASCII, and the no-break space U+00A0) as one blank, and
/// none at its ends. Published answers hold tabs where a table had commas, and no-break spaces.
std::string squeezed(const std::string& text);

/// A to Z made small; all else is kept.
std::string lower_ascii(std::string text);

/// "closed" for yes and no in any case (Chinese 是, 否, 不是, 有, 没有, too), otherwise "open".
std::string answer_type_of(const std::string& answer);

/// A record of a published file: its texts as those sets write them. It may have fields that nobody
/// asks for.
class Record {
 public:
  explicit Record(ObjectReader reader) : reader_(std::move(reader)) {}

  /// "train.json: record 3", to begin errors of the whole record with.
  const std::string& where() const { return reader_.place(); }
  [[noreturn]] void fail(const std::string& message) const;
  bool has_value(const std::string& key) { return !reader_.raw(key).is_null(); }
  /// A string or a number as text, trimmed; "" where it is empty, and only then. @throws
  /// InputError: absent, or another type.
  std::string text_or_empty(const std::string& key);
  /// The same, but never "". @throws InputError
  std::string text(const std::string& key);
  /// text(key), squeezed. @throws InputError
  std::string question(const std::string& key) { return squeezed(text(key)); }
  /// An answer, squeezed and in small letters: the sets write "Yes" and "yes", some of them both,
  /// and mean the same answer. "" where it is empty. @throws InputError as text_or_empty.
  std::string answer(const std::string& key) { return lower_ascii(squeezed(text_or_empty(key))); }
  /// One of `allowed`, compared without regard to case and returned as `allowed` spells it.
  std::string choice(const std::string& key, const std::vector<std::string>& allowed);

 private:
  ObjectReader reader_;
};

/// The records of a published file, a JSON list. The document must outlive them. @throws
/// InputError: not a list, or empty.
std::vector<Record> records_of(const Document& document);

/// Why `image`, a path from `folder`, cannot be part of the set there, or "": it leads out of the
/// folder (absolute, or by ".."; a symbolic link may), is longer than file names can be, or, unless
/// `questions_only`, is not there. Said of it as `what`.
std::string image_problem(const std::filesystem::path& folder, const std::string& image,
                          bool questions_only, const std::string& what = "image");

/// Refuses images that are not there, once for each.
class ImageCheck {
 public:
  ImageCheck(std::filesystem::path folder, const LoadOptions& options)
      : folder_(std::move(folder)), questions_only_(options.questions_only) {}
  /// `image` is relative to the folder and may not leave it. @throws InputError beginning with
  /// `where` and naming `field`.
  void operator()(const std::string& where, const std::string& field, const std::string& image);
  /// The first image that is there among PLACE + `name` + ENDING, all endings in the first place
  /// before the next ("" or "images/"). Where images need not be there, the first of them that may
  /// be. @throws InputError likewise
  std::string find(const std::string& where, const std::string& field,
                   const std::vector<std::string>& places, const std::string& name,
                   const std::vector<std::string>& endings) const;
  /// The same, or "" where none is there.
  std::string find_if_there(const std::vector<std::string>& places, const std::string& name,
                            const std::vector<std::string>& endings) const;

 private:
  std::filesystem::path folder_;
  bool questions_only_;
  std::unordered_set<std::string> seen_;
};

/// Counts what a reader leaves out, by reason, for the manifest's notes.
class LeftOut {
 public:
  void add(const std::string& reason, const std::string& where);
  /// One note for every reason: "2 records left out: REASON (first: WHERE)".
  void write(Manifest& manifest) const;

 private:
  std::map<std::string, std::pair<std::int64_t, std::string>> reasons_;
};

/// For sets without a published split: of one name in five, by its SHA-256, the test, or else
/// training.
std::string hashed_split(const std::string& name);

/// A manifest knows training and test examples only. Published validation examples become training
/// examples where their data set has test examples; where it has none, they are the test. A note
/// says so.
void settle_validation(Manifest& manifest);

}  // namespace strata::data
