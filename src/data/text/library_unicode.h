#pragma once
/// \file
/// Unicode as the tokenizers library knows it: its tables of punctuation, marks and normal forms
/// are those of Unicode 8 and 9, to which a younger character is nothing in particular. A model was
/// trained on what they gave. Internal.

#include <unicode/normalizer2.h>

#include "data/text/segment.h"

namespace strata::data {

/// Categories of Unicode 8 (the crate unicode_categories).
bool is_library_punctuation(UChar32 c);  ///< with all of ASCII's symbols
bool is_library_nonspacing_mark(UChar32 c);
bool is_library_control(UChar32 c);  ///< Cc, Cf or Co

/// Any mark of Unicode 9 (the crate unicode-normalization-alignments).
bool is_library_combining_mark(UChar32 c);

/// One character's lower case, whatever stands around it.
icu::UnicodeString lower_cased(const icu::UnicodeString& text);

/// NFC, NFD, NFKC or NFKD of Unicode 9. @throws WorkError where ICU's data are missing.
const icu::Normalizer2& library_normal_form(const char* name);
icu::UnicodeString normal_form(const icu::Normalizer2& form, const icu::UnicodeString& text);

}  // namespace strata::data
