#pragma once
/// \file
/// Python's pickle format, protocols 2 to 5 (PEP 307, PEP 3154; opcodes as in CPython's
/// pickletools), as data: nothing in a file is imported or called. Who reads one says what it may
/// hold: data/pickle.h lists and dictionaries of texts, core/torch_file.h PyTorch's tensors.
/// Internal.

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace strata {

/// A value of a pickle, which lives as long as that. Values are shared, and a container can hold
/// itself: who descends limits the depth and the number of values that he sees.
struct PickleValue {
  using Pointer = const PickleValue*;
  struct None {};
  /// Python's bytes, and integers of more than 64 bits as they stand there.
  struct Bytes {
    std::string_view bytes;
  };
  struct List {
    std::vector<Pointer> values;
  };
  struct Tuple {
    std::vector<Pointer> values;
  };
  struct Set {
    std::vector<Pointer> values;
  };
  /// A key can stand several times, of which the last counts. An OrderedDict is one, too, whose
  /// attributes are left out.
  struct Dictionary {
    std::vector<std::pair<Pointer, Pointer>> entries;
    bool ordered = false;
  };
  /// A name in a module, which stands for nothing here.
  struct Global {
    std::string_view module, name;
  };
  /// What CPython would call, and with which tuple.
  struct Call {
    const Global* callee;
    const Tuple* arguments;
  };
  /// Something outside of the pickle.
  struct Persistent {
    Pointer id;
  };
  std::variant<None, bool, std::int64_t, double, std::string_view, Bytes, List, Tuple, Set,
               Dictionary, Global, Call, Persistent>
      value;

  /// nullptr where the value is of another kind.
  template <typename Kind>
  const Kind* as() const {
    return std::get_if<Kind>(&value);
  }
};

/// What a pickle may hold.
struct PickleRules {
  /// Lists, and dictionaries whose keys are texts, of texts, whole numbers of 32 bits, true, false
  /// and None always; if this is set also tuples, sets, OrderedDicts, keys and numbers of any kind,
  /// globals, calls and persistent values.
  bool objects = false;
  /// What is said of another opcode: "is none of those for …".
  std::string of;
  /// Why a global must not be there; empty: it may. Needed where there are objects; not asked for
  /// OrderedDict and set.
  std::function<std::string(std::string_view module, std::string_view name)> refusal = nullptr;
};

class Pickle {
 public:
  static constexpr int kMaxDepth = 64;
  static constexpr std::int64_t kMaxValues = 1'000'000;

  /// Reads all of `bytes`, which must outlive it; `file` begins errors. Time and memory are linear
  /// in their number. @throws InputError: an opcode that the rules do not allow (with its position
  /// and code), a global that they refuse, a damaged or truncated pickle, more than 2 kMaxValues
  /// values, keys among them.
  Pickle(std::string_view bytes, const std::string& file, const PickleRules& rules);
  Pickle(const Pickle&) = delete;
  Pickle& operator=(const Pickle&) = delete;

  const PickleValue& root() const { return *root_; }

 private:
  std::deque<PickleValue> values_;  ///< all of them, so that deep ones need no recursion to go
  const PickleValue* root_ = nullptr;
};

/// Of the most bytes that the texts of a pickle may have when every reference to a shared one is
/// counted, what is left: a few bytes can refer to a long text again.
class PickleTexts {
 public:
  static constexpr std::size_t kMaxGrowth = 16;
  /// 16 times the file's size, and 1 MiB of small ones.
  explicit PickleTexts(std::size_t file_size);
  /// Whether this one, too, is within them.
  bool take(std::size_t size);

 private:
  std::size_t left_;
};

}  // namespace strata
