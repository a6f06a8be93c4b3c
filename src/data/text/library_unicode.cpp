#include "data/text/library_unicode.h"

#include <unicode/uchar.h>
#include <unicode/uniset.h>

#include <map>
#include <memory>
#include <string>

#include "data/text/bert_text.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

bool is_of_version(UChar32 c, int version) {
  UVersionInfo age;
  u_charAge(c, age);
  return age[0] > 0 && age[0] <= version;
}

/// ICU's normal forms, which leave alone what Unicode 9 does not have.
class NormalForms {
 public:
  NormalForms() : characters_(u"[[:age=9.0:]]", status_) {
    characters_.freeze();
    add("NFC", icu::Normalizer2::getNFCInstance(status_));
    add("NFD", icu::Normalizer2::getNFDInstance(status_));
    add("NFKC", icu::Normalizer2::getNFKCInstance(status_));
    add("NFKD", icu::Normalizer2::getNFKDInstance(status_));
  }
  const icu::Normalizer2& at(const std::string& name) const { return *forms_.at(name); }

 private:
  void add(const char* name, const icu::Normalizer2* whole) {
    if (U_FAILURE(status_))
      throw WorkError(std::string("ICU: no data for ") + name + ": " + u_errorName(status_));
    forms_[name] = std::make_unique<icu::FilteredNormalizer2>(*whole, characters_);
  }

  UErrorCode status_ = U_ZERO_ERROR;
  icu::UnicodeSet characters_;
  std::map<std::string, std::unique_ptr<const icu::Normalizer2>> forms_;
};

}  // namespace

bool is_library_punctuation(UChar32 c) {
  if (is_ascii_symbol(c)) return true;
  // Reclassified since.
  if (c == 0x166D || c == 0x111C9) return true;
  return u_ispunct(c) && is_of_version(c, 8);
}

bool is_library_nonspacing_mark(UChar32 c) {
  switch (c) {  // reclassified since
    case 0x1734:
      return true;
    case 0x1885:
    case 0x1886:
    case 0xA9BD:
    case 0x111C9:
      return false;
    default:
      return u_charType(c) == U_NON_SPACING_MARK && is_of_version(c, 8);
  }
}

bool is_library_control(UChar32 c) {
  switch (u_charType(c)) {
    case U_CONTROL_CHAR:
    case U_FORMAT_CHAR:
      return is_of_version(c, 8);
    case U_PRIVATE_USE_CHAR:
      return true;
    default:
      return false;
  }
}

bool is_library_combining_mark(UChar32 c) {
  if (c == 0x1CF2 || c == 0x1CF3) return true;  // reclassified since
  return (U_GET_GC_MASK(c) & U_GC_M_MASK) != 0 && c != 0x111C9 && is_of_version(c, 9);
}

icu::UnicodeString lower_cased(const icu::UnicodeString& text) {
  icu::UnicodeString out;
  for_each_character(text, [&](UChar32 c) {
    // The only character whose lower case is two.
    if (c == 0x130)
      out.append(u"i\u0307");
    else
      out.append(u_tolower(c));
  });
  return out;
}

const icu::Normalizer2& library_normal_form(const char* name) {
  static const NormalForms forms;
  return forms.at(name);
}

icu::UnicodeString normal_form(const icu::Normalizer2& form, const icu::UnicodeString& text) {
  UErrorCode status = U_ZERO_ERROR;
  icu::UnicodeString out = form.normalize(text, status);
  if (U_FAILURE(status))
    throw WorkError(std::string("ICU: a text has no normal form: ") + u_errorName(status));
  return out;
}

}  // namespace strata::data
