// VQA-Med 2019, 2020 and 2021 (Ben Abacha et al., CLEF Working Notes 2019, 2020, 2021), as
// published in github.com/abachaa/VQA-Med-2019, -2020, -2021, on Zenodo (10499039) and on AIcrowd:
// text files, one question a line, fields separated by "|", beside folders of images named by the
// first field. The files may lie in any folders below the set's; the images of a text file lie
// below its own folder.
//
// Verified against the files: 2019's test (500 lines of image|category|question|answer, ASCII; "#"
// between correct answers, parentheses around an optional part, as its README says) and 2021's
// reference answers as its evaluator has them (500 lines of image|answer, some with one or two
// answers more; UTF-8 with no-break spaces). Verified against copies in other forms: 2019's
// training questions (12,792, with answers in UTF-8; yutian-zhao/MICCAI19-MedVQA) and those of 2020
// (haifangong/HCP-MIC-at-ImageCLEF-VQA-Med-2020), of which none has a "|" or "#". Verified in
// public loaders, which agree: all names below, the three fields of the training and validation
// files and that they are UTF-8, and the folders of images (d4l-data4life/BBNOrchestra-for-
// VQAmed2021, among others). 2020's evaluator takes "#" between correct answers; its reference
// answers were not at hand.
//
// No file names a modality for each image, so that each year's set is one client.
#include <algorithm>
#include <map>

#include "core/csv.h"
#include "data/datasets/datasets.h"
#include "data/datasets/published.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

struct TextFile {
  const char* name;
  const char* answers;  ///< the file with the answers, where it is another one
  const char* set;
  const char* split;
  int fields;  ///< of `name`; what follows the last separator is the answer
};

const TextFile kFiles[] = {
    {"All_QA_Pairs_train.txt", nullptr, "vqa-med-2019", kTrainSplit, 3},
    {"All_QA_Pairs_val.txt", nullptr, "vqa-med-2019", kValidation, 3},
    {"VQAMed2019_Test_Questions_w_Ref_Answers.txt", nullptr, "vqa-med-2019", kTestSplit, 4},
    {"VQAnswering_2020_Train_QA_pairs.txt", nullptr, "vqa-med-2020", kTrainSplit, 3},
    {"VQAnswering_2020_Val_QA_Pairs.txt", nullptr, "vqa-med-2020", kValidation, 3},
    {"VQAMed2020-Task1-VQAnswering-Test-Questions.txt",
     "VQAMed2020-Task1-VQAnswering-Test-ReferenceAnswers.txt", "vqa-med-2020", kTestSplit, 2},
    {"VQA-Med-2021-VQAnswering-Task1-New-ValidationSet.txt", nullptr, "vqa-med-2021", kValidation,
     3},
    {"Task1-VQA-2021-TestSet-Questions.txt", "Task1-VQA-2021-TestSet-ReferenceAnswers.txt",
     "vqa-med-2021", kTestSplit, 2},
};

/// AIcrowd's archives for 2020 are two folders of the same name around one for each split; a folder
/// for the year may be around them.
constexpr int kDepth = 4;

using Paths = std::map<std::string, std::vector<std::filesystem::path>>;

/// The known text files below the folder, by name.
Paths find_files(const std::filesystem::path& folder) {
  Paths paths;
  std::error_code ignored;
  auto entry = std::filesystem::recursive_directory_iterator(
      folder, std::filesystem::directory_options::skip_permission_denied, ignored);
  for (; entry != std::filesystem::recursive_directory_iterator(); ++entry) {
    if (entry->is_directory()) {
      if (entry.depth() >= kDepth) entry.disable_recursion_pending();
      continue;
    }
    if (entry->path().extension() != ".txt") continue;
    const std::string name = entry->path().filename().string();
    for (const TextFile& file : kFiles)
      if (name == file.name || (file.answers && name == file.answers))
        paths[name].push_back(entry->path());
  }
  return paths;
}

/// The images below a text file's folder: name without extension → path relative to the set.
std::map<std::string, std::string> find_images(const std::filesystem::path& folder,
                                               const std::filesystem::path& set) {
  std::map<std::string, std::string> images;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".jpg" || extension == ".jpeg" || extension == ".png")
      images.emplace(entry.path().stem().string(),
                     entry.path().lexically_relative(set).generic_string());
  }
  return images;
}

/// At most `limit` parts, squeezed.
std::vector<std::string> split_text(const std::string& text, const char* separators,
                                    std::size_t limit) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (parts.size() + 1 < limit) {
    const std::size_t end = text.find_first_of(separators, begin);
    if (end == std::string::npos) break;
    parts.push_back(squeezed(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  parts.push_back(squeezed(text.substr(begin)));
  return parts;
}

struct Row {
  std::string where;
  std::vector<std::string> fields;
};

/// @throws InputError for a line with fewer fields, an empty one, or one that is not UTF-8.
std::vector<Row> read_rows(const std::filesystem::path& file, int fields) {
  const std::string text = read_file(file);
  std::vector<Row> rows;
  int number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (number == 1 && line.rfind("\xef\xbb\xbf", 0) == 0) line.erase(0, 3);
    if (trimmed(line).empty()) continue;
    Row row{file.string() + ":" + std::to_string(number), split_text(line, "|", fields)};
    if (!is_utf8(line)) throw InputError(row.where + ": the line is not valid UTF-8");
    if (static_cast<int>(row.fields.size()) != fields)
      throw InputError(row.where + ": found " + std::to_string(row.fields.size()) +
                       " fields separated by \"|\", expected " + std::to_string(fields));
    for (std::size_t i = 0; i < row.fields.size(); ++i)
      if (row.fields[i].empty())
        throw InputError(row.where + ": field " + std::to_string(i + 1) + " is empty");
    rows.push_back(std::move(row));
  }
  if (rows.empty()) throw InputError(file.string() + ": no question in it");
  return rows;
}

/// With every parenthesised part first kept and then left out.
std::vector<std::string> with_and_without_optional(const std::string& answer) {
  std::string with, without;
  int depth = 0;
  for (const char c : answer) {
    if (c == '(') {
      ++depth;
    } else if (c == ')' && depth > 0) {
      --depth;
    } else {
      with += c;
      if (depth == 0) without += c;
    }
  }
  with = squeezed(with);
  without = squeezed(without);
  if (depth != 0 || without.empty()) return {answer};
  return with == without ? std::vector{with} : std::vector{with, without};
}

std::vector<std::string> accepted_answers(const TextFile& file, const std::string& text) {
  std::vector<std::string> answers;
  // 2019 writes "#" between answers, 2021's file of reference answers "|"; 2020's evaluator knows
  // "#".
  const char* separators = file.answers ? "|#" : "#";
  for (const std::string& part : split_text(lower_ascii(text), separators, std::string::npos)) {
    if (part.empty()) continue;
    // Only the README of 2019's test gives parentheses this meaning.
    const auto variants =
        file.fields == 4 ? with_and_without_optional(part) : std::vector<std::string>{part};
    for (const std::string& answer : variants)
      if (std::find(answers.begin(), answers.end(), answer) == answers.end())
        answers.push_back(answer);
  }
  return answers;
}

/// The one place of a file; empty where it is not there. @throws InputError: it is there twice.
std::filesystem::path only_path(const Paths& paths, const std::string& name) {
  const auto found = paths.find(name);
  if (found == paths.end()) return {};
  if (found->second.size() > 1)
    throw InputError(found->second[0].string() + " and " + found->second[1].string() +
                     " are the same file of the set; keep one");
  return found->second[0];
}

bool is_vqa_med(const std::filesystem::path& folder) {
  return !find_files(folder).empty();
}

Manifest read_vqa_med(const std::filesystem::path& folder, const LoadOptions& options) {
  const Paths paths = find_files(folder);
  Manifest manifest;
  manifest.folder = folder;
  for (const TextFile& file : kFiles) {
    const auto path = only_path(paths, file.name);
    if (path.empty()) continue;
    std::map<std::string, std::string> answers;
    if (file.answers) {
      const auto answers_path = only_path(paths, file.answers);
      if (answers_path.empty()) {
        manifest.notes.push_back(path.string() + " is left out: its answers, " + file.answers +
                                 ", are not here");
        continue;
      }
      for (const Row& row : read_rows(answers_path, 2))
        if (!answers.emplace(row.fields[0], row.fields[1]).second)
          throw InputError(row.where + ": a second answer for the image \"" + row.fields[0] + "\"");
    }
    const auto images = find_images(path.parent_path(), folder);
    for (const Row& row : read_rows(path, file.fields)) {
      Example example;
      const std::string& id = row.fields.front();
      const auto image = images.find(id);
      if (image != images.end())
        example.image = image->second;
      else if (options.questions_only)
        example.image = id + ".jpg";
      else
        throw InputError(row.where + ": no image \"" + id + ".jpg\" below " +
                         path.parent_path().string());
      example.question = row.fields[file.fields == 4 ? 2 : 1];
      std::string answer = row.fields.back();
      if (file.answers) {
        const auto found = answers.find(id);
        if (found == answers.end())
          throw InputError(row.where + ": no answer for the image \"" + id + "\" in " +
                           file.answers);
        answer = found->second;
      }
      example.answers = accepted_answers(file, answer);
      if (example.answers.empty())
        throw InputError(row.where + ": no answer in \"" + answer + "\"");
      example.split = file.split;
      example.client = file.set;
      example.dataset = file.set;
      example.answer_type = answer_type_of(example.answers[0]);
      manifest.examples.push_back(std::move(example));
    }
  }
  if (manifest.examples.empty())
    throw InputError(folder.string() + ": questions of VQA-Med without their answers");
  const auto clients = manifest.clients();
  manifest.name = clients.size() == 1 ? clients[0] : "vqa-med";
  settle_validation(manifest);
  return manifest;
}

}  // namespace

Dataset vqa_med() {
  return {"VQA-Med 2019 to 2021", "All_QA_Pairs_train.txt and its like", is_vqa_med, read_vqa_med,
          Reading::kQuestions,
          /*deep=*/true};
}

}  // namespace strata::data
