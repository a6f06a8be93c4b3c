#include "core/pickle_machine.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <unordered_map>

#include "core/csv.h"
#include "core/document.h"
#include "strata/core/error.h"

namespace strata {
namespace {

using Value = PickleValue;

bool is_ordered_dict(const Value::Global& global) {
  return global.module == "collections" && global.name == "OrderedDict";
}

/// Protocol 2 has Python 2's names.
bool is_set(const Value::Global& global) {
  return (global.module == "__builtin__" || global.module == "builtins") && global.name == "set";
}

/// A stack machine whose opcodes come in groups; each group says whether it knows one.
class PickleMachine {
 public:
  PickleMachine(std::string_view bytes, const std::string& file, const PickleRules& rules,
                std::deque<Value>& values)
      : bytes_(bytes), file_(file), rules_(rules), values_(values) {}

  const Value* run() {
    for (;;) {
      opcode_at_ = position_;
      const auto opcode = static_cast<unsigned char>(take(1)[0]);
      if (opcode == '.') break;
      if (scalar(opcode) || container(opcode) || memo(opcode)) continue;
      if (rules_.objects && (number_or_bytes(opcode) || tuple_or_set(opcode) || object(opcode)))
        continue;
      char code[8];
      std::snprintf(code, sizeof code, "0x%02x", opcode);
      fail(std::string("the opcode ") + code + " is none of those for " + rules_.of);
    }
    const Value* result = pop();
    if (!stack_.empty()) fail("more than one object");
    return result;
  }

 private:
  bool scalar(unsigned char opcode) {
    switch (opcode) {
      case 'X':
        push(text(number(4)));
        return true;
      case 0x8c:  // SHORT_BINUNICODE
        push(text(number(1)));
        return true;
      case 0x8d:  // BINUNICODE8
        push(text(number(8)));
        return true;
      case 'N':
        push(Value::None{});
        return true;
      case 0x88:  // NEWTRUE
        push(true);
        return true;
      case 0x89:  // NEWFALSE
        push(false);
        return true;
      case 'J':
        push(std::int64_t{static_cast<std::int32_t>(number(4))});
        return true;
      case 'K':
        push(static_cast<std::int64_t>(number(1)));
        return true;
      case 'M':
        push(static_cast<std::int64_t>(number(2)));
        return true;
    }
    return false;
  }

  bool container(unsigned char opcode) {
    switch (opcode) {
      case '}':
        push(Value::Dictionary{});
        return true;
      case ']':
        push(Value::List{});
        return true;
      case '(':
        count(marks_.size());
        marks_.push_back(stack_.size());
        return true;
      case 'a': {
        const Value* value = pop();
        top_as<Value::List>("a list").values.push_back(value);
        return true;
      }
      case 'e': {
        const std::vector<Value*> values = pop_mark();
        auto& list = top_as<Value::List>("a list").values;
        list.insert(list.end(), values.begin(), values.end());
        return true;
      }
      case 's': {
        const Value *value = pop(), *key = pop();
        check_key(*key);
        top_as<Value::Dictionary>("a dictionary").entries.emplace_back(key, value);
        return true;
      }
      case 'u':
        set_items();
        return true;
    }
    return false;
  }

  bool memo(unsigned char opcode) {
    switch (opcode) {
      case 0x80:  // PROTO
        take(1);
        return true;
      case 0x95:  // FRAME
        take(8);
        return true;
      case 'q':
        remember(number(1));
        return true;
      case 'r':
        remember(number(4));
        return true;
      case 0x94:  // MEMOIZE
        remember(memo_.size());
        return true;
      case 'h':
        push_memo(number(1));
        return true;
      case 'j':
        push_memo(number(4));
        return true;
    }
    return false;
  }

  bool number_or_bytes(unsigned char opcode) {
    switch (opcode) {
      case 'G': {  // BINFLOAT, the only one whose first byte is the highest
        std::uint64_t bits = 0;
        for (const char byte : take(8)) bits = bits << 8 | static_cast<unsigned char>(byte);
        push(std::bit_cast<double>(bits));
        return true;
      }
      case 0x8a:  // LONG1
        push_long(take(number(1)));
        return true;
      case 0x8b:  // LONG4
        push_long(take(number(4)));
        return true;
      case 'C':  // SHORT_BINBYTES
        push(Value::Bytes{take(number(1))});
        return true;
      case 'B':  // BINBYTES
        push(Value::Bytes{take(number(4))});
        return true;
      case 0x8e:  // BINBYTES8
      case 0x96:  // BYTEARRAY8
        push(Value::Bytes{take(number(8))});
        return true;
    }
    return false;
  }

  bool tuple_or_set(unsigned char opcode) {
    switch (opcode) {
      case ')':
        push(Value::Tuple{});
        return true;
      case 't':
        push_tuple(pop_mark());
        return true;
      case 0x85:  // TUPLE1
      case 0x86:  // TUPLE2
      case 0x87:  // TUPLE3
        push_tuple(pop_several(opcode - 0x84));
        return true;
      case 0x8f:  // EMPTY_SET
        push(Value::Set{});
        return true;
      case 0x90: {  // ADDITEMS
        const std::vector<Value*> values = pop_mark();
        auto& set = top_as<Value::Set>("a set").values;
        set.insert(set.end(), values.begin(), values.end());
        return true;
      }
      case 0x91: {  // FROZENSET
        const std::vector<Value*> values = pop_mark();
        push(Value::Set{{values.begin(), values.end()}});
        return true;
      }
    }
    return false;
  }

  bool object(unsigned char opcode) {
    switch (opcode) {
      case 'c': {  // GLOBAL
        const std::string_view module = line(), name = line();
        push_global(module, name);
        return true;
      }
      case 0x93: {  // STACK_GLOBAL
        const Value *name = pop(), *module = pop();
        const auto *name_text = name->as<std::string_view>(),
                   *module_text = module->as<std::string_view>();
        if (!name_text || !module_text) fail("a global whose name is no text");
        push_global(*module_text, *name_text);
        return true;
      }
      case 'R':
        reduce();
        return true;
      case 'b': {  // BUILD: an OrderedDict's attributes
        const Value* state = pop();
        if (!top_as<Value::Dictionary>("an OrderedDict").ordered || !state->as<Value::Dictionary>())
          fail("attributes of what is no OrderedDict");
        return true;
      }
      case 'Q':  // BINPERSID
        push(Value::Persistent{pop()});
        return true;
    }
    return false;
  }

  void set_items() {
    const std::vector<Value*> values = pop_mark();
    if (values.size() % 2 != 0) fail("a dictionary with a key and no value");
    auto& dictionary = top_as<Value::Dictionary>("a dictionary");
    for (std::size_t i = 0; i < values.size(); i += 2) {
      check_key(*values[i]);
      dictionary.entries.emplace_back(values[i], values[i + 1]);
    }
  }

  /// Stands for the call; a new OrderedDict or set is itself.
  void reduce() {
    const Value *arguments = pop(), *callee = pop();
    const auto* global = callee->as<Value::Global>();
    const auto* tuple = arguments->as<Value::Tuple>();
    if (!global || !tuple) fail("a call of what is no global, or without a tuple");
    if (is_ordered_dict(*global)) {
      if (!tuple->values.empty()) fail("an OrderedDict with arguments");
      push(Value::Dictionary{{}, true});
    } else if (is_set(*global)) {
      const auto* list = tuple->values.size() == 1 ? tuple->values[0]->as<Value::List>() : nullptr;
      if (!list) fail("a set of what is no list");
      // Several sets of one long list are as many copies of it.
      copied_ += list->values.size();
      count(copied_);
      push(Value::Set{list->values});
    } else {
      push(Value::Call{global, tuple});
    }
  }

  void push_global(std::string_view module, std::string_view name) {
    const Value::Global global{module, name};
    if (!is_ordered_dict(global) && !is_set(global)) {
      const std::string refusal = rules_.refusal(module, name);
      if (!refusal.empty())
        fail("it holds " + excerpt(Json(std::string(module) + "." + std::string(name))) + ", " +
             refusal);
    }
    push(global);
  }

  void push_long(std::string_view bytes) {
    if (bytes.size() > 8) {
      push(Value::Bytes{bytes});
      return;
    }
    std::uint64_t bits = 0;
    for (std::size_t i = bytes.size(); i-- > 0;)
      bits = bits << 8 | static_cast<unsigned char>(bytes[i]);
    const std::size_t missing = 64 - 8 * bytes.size();
    // The highest bit that is there is the sign.
    push(missing == 64 ? std::int64_t{0} : static_cast<std::int64_t>(bits << missing) >> missing);
  }

  void push_tuple(const std::vector<Value*>& values) {
    push(Value::Tuple{{values.begin(), values.end()}});
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(file_ + ": pickle, byte " + std::to_string(opcode_at_) + ": " + message);
  }

  std::string_view take(std::uint64_t count) {
    if (count > bytes_.size() - position_) fail("the file ends too early");
    const std::string_view part = bytes_.substr(position_, count);
    position_ += count;
    return part;
  }

  std::uint64_t number(int bytes) {
    std::uint64_t value = 0;
    const std::string_view part = take(bytes);
    for (int i = bytes - 1; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(part[i]);
    return value;
  }

  std::string_view text(std::uint64_t size) {
    const std::string_view text = take(size);
    if (!is_utf8(std::string(text))) fail("a text is not valid UTF-8");
    return text;
  }

  std::string_view line() {
    const std::size_t end = bytes_.find('\n', position_);
    if (end == std::string_view::npos) fail("the file ends too early");
    const std::string_view line = text(end - position_);
    take(1);
    return line;
  }

  /// Keys are values of their own until a dictionary takes them.
  void count(std::size_t values) const {
    if (values >= 2 * Pickle::kMaxValues)
      fail("more than " + std::to_string(Pickle::kMaxValues) + " values");
  }

  void remember(std::uint64_t key) {
    count(memo_.size());
    memo_[key] = top();
  }

  template <typename Kind>
  void push(Kind value) {
    count(values_.size());
    values_.push_back(Value{std::move(value)});
    stack_.push_back(&values_.back());
  }

  Value* pop() {
    Value* value = top();
    stack_.pop_back();
    return value;
  }

  Value* top() const {
    if (stack_.empty() || (!marks_.empty() && marks_.back() == stack_.size()))
      fail("nothing on the stack");
    return stack_.back();
  }

  std::vector<Value*> pop_mark() {
    if (marks_.empty()) fail("no mark on the stack");
    const std::size_t first = marks_.back();
    marks_.pop_back();
    return pop_several(stack_.size() - first);
  }

  std::vector<Value*> pop_several(std::size_t count) {
    const std::size_t below = marks_.empty() ? 0 : marks_.back();
    if (count > stack_.size() - below) fail("nothing on the stack");
    const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
    std::vector<Value*> values(first, stack_.end());
    stack_.erase(first, stack_.end());
    return values;
  }

  void push_memo(std::uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) fail("no object was remembered as " + std::to_string(key));
    stack_.push_back(found->second);
  }

  template <typename Container>
  Container& top_as(const char* name) const {
    auto* container = std::get_if<Container>(&top()->value);
    if (!container) fail(std::string("expected ") + name + " on the stack");
    return *container;
  }

  void check_key(const Value& key) const {
    if (key.as<std::string_view>()) return;
    if (!rules_.objects) fail("a dictionary's key is no text");
    if (key.as<Value::List>() || key.as<Value::Dictionary>() || key.as<Value::Set>() ||
        key.as<Value::Call>() || key.as<Value::Persistent>())
      fail("a dictionary's key is none of text, number and tuple");
  }

  std::string_view bytes_;
  const std::string& file_;
  const PickleRules& rules_;
  std::size_t position_ = 0, opcode_at_ = 0, copied_ = 0;
  std::deque<Value>& values_;
  std::vector<Value*> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, Value*> memo_;
};

}  // namespace

Pickle::Pickle(std::string_view bytes, const std::string& file, const PickleRules& rules)
    : root_(PickleMachine(bytes, file, rules, values_).run()) {}

PickleTexts::PickleTexts(std::size_t file_size)
    : left_(std::max(std::size_t{1} << 20, kMaxGrowth * file_size)) {}

bool PickleTexts::take(std::size_t size) {
  if (size > left_) return false;
  left_ -= size;
  return true;
}

}  // namespace strata
