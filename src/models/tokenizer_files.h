#pragma once
/// \file
/// The files beside a model's weights that say how its questions become token ids.

#include <filesystem>
#include <memory>

#include "data/text/tokenizer.h"
#include "data/text/wordpiece.h"
#include "models/architecture.h"

namespace strata::models {

/// The tokenizer of a model folder: its vocabulary is vocab.txt or, where there is none, the one in
/// tokenizer.json, which is all that transformers 5 writes. Of tokenizer_config.json the special
/// tokens, do_lower_case, strip_accents and tokenize_chinese_chars are read; as in transformers,
/// these come before what tokenizer.json says of the same. Of a model that reads no text, or that
/// has a language model (Architecture::speech): no_tokenizer().
/// @throws InputError naming the file and the key: neither vocabulary, another kind of tokenizer
/// than BERT's, a key on which the two files differ without a word, more tokens than the model has.
data::WordPiece load_tokenizer(const std::filesystem::path& model_folder);
/// The same for a model that is not quite the folder's.
data::WordPiece load_tokenizer(const Architecture& architecture,
                               const std::filesystem::path& model_folder);
/// That of a model that reads no text, or that speaks: special tokens alone.
data::WordPiece no_tokenizer();

/// That of a model with a language model, from its folder's tokenizer.json or, where there is none,
/// BERT's of vocab.txt; nullptr of any other. @throws InputError: neither file, or as
/// data::Tokenizer does
std::shared_ptr<const data::Tokenizer> load_language(const Architecture& architecture,
                                                     const std::filesystem::path& model_folder);
/// Copies what a folder of a model that speaks has beside its weights and that Strata does not
/// write: the tokenizer's files, generation_config.json, processor_config.json, templates.
void copy_language(const std::filesystem::path& from, const std::filesystem::path& to);

/// What such a folder needs beside weights and image processor for a fresh model with a learnt
/// tokenizer (data/text/learnt_tokenizer.h), so that transformers opens it, too: the tokenizer's
/// `text` as tokenizer.json, and tokenizer_config.json, processor_config.json and
/// generation_config.json.
void save_learnt_language(const std::string& text, const Architecture& architecture,
                          const std::filesystem::path& folder);

/// vocab.txt and tokenizer_config.json, from which transformers 4 and 5 make the same tokenizer; in
/// place of the former tokenizer.json, where it has what they cannot say (another prefix or longest
/// word, texts that are not cleaned). For a model that reads
/// no text, or that speaks (copy_language), nothing.
void save_tokenizer(const data::WordPiece& tokenizer, const Architecture& architecture,
                    const std::filesystem::path& model_folder);

}  // namespace strata::models
