#include "chainrule/backend/cpu/traced_code.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "chainrule/backend/cpu/memory_ahead.h"
#include "chainrule/backend/cpu/register.h"
#include "chainrule/core/error.h"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#define CHAINRULE_HAVE_MMAP
#endif

namespace chainrule::cpu {
namespace {

using update::Instruction;
using update::Opcode;
using update::TracedProgram;
using Level = X86Code::Level;
using Vector = X86Code::Vector;

constexpr int kArrays = update::kRegisterPlaces;  // p, g and the states
constexpr int kPlaces = kArrays + update::kMaxRegisters;
constexpr int kMaxScalars = update::kMaxCoefs + update::kMaxConstants;
constexpr std::string_view kNoRoom = "more values at a time than the processor has registers";
constexpr int kCacheLine = 64;

bool is_array(int place) { return place < kArrays; }

// Writes one function: arguments are n, p, g, states, scalars in rdi, rsi, rdx, rcx, r8. The
// offset into all arrays is in rax, the elements left in rdi.
class Writer {
 public:
  Writer(const TracedProgram& program, Level level, Dtype dtype)
      : program_(program),
        level_(level),
        dtype_(dtype),
        item_(static_cast<int>(item_size(dtype))),
        code_(level, dtype) {
    std::fill(std::begin(scalar_at_), std::end(scalar_at_), -1);
  }

  WrittenLoop write() {
    for (int i = 0; i < program_.length; ++i) {
      if (needs_series(program_.code[i].code)) {
        return {{}, cat("the instruction ", update::name_of(program_.code[i].code))};
      }
    }
    // Once to see how many vectors an element's values need; scalars stay in the others.
    body(0, false);
    if (!problem_.empty()) return {{}, std::string(problem_)};
    code_ = X86Code(level_, dtype_);
    keep_scalars();
    function();
    return {code_.finish(), {}};
  }

 private:
  static bool needs_series(Opcode code) {
    switch (code) {
      case Opcode::power:
      case Opcode::power_s:
      case Opcode::power_of_s:
      case Opcode::exp:
      case Opcode::expm1:
      case Opcode::log:
      case Opcode::log1p:
      case Opcode::tanh:
        return true;
      default:
        return false;
    }
  }

  // The last three vectors are for work within an instruction.
  Vector work(int which) const { return code_.vector_count() - 1 - which; }
  int for_values() const { return code_.vector_count() - 3; }

  void keep_scalars() {
    int next = most_live_;
    for (int i = 0; i < program_.length; ++i) {
      const Instruction& instruction = program_.code[i];
      for (int k = 0; k < update::scalars_of(instruction.code); ++k) {
        const int scalar = instruction.scalar[k];
        if (scalar_at_[scalar] >= 0 || next == for_values()) continue;
        scalar_at_[scalar] = next++;
        kept_.push_back(scalar);
      }
    }
  }

  void function() {
    constexpr auto kSpare = X86Code::rbx;  // a caller's: kept for it
    const bool spares = program_.state_count == update::kMaxStates;
    code_.begin_function();
    if (spares) code_.push(kSpare);
    for (int k = 0; k < program_.state_count; ++k) {
      code_.load_pointer(base(update::kStatePlaces + k), X86Code::rcx,
                         k * static_cast<int>(sizeof(void*)));
    }
    for (const int scalar : kept_) {
      code_.broadcast(scalar_at_[scalar], X86Code::r8, scalar * item_);
    }
    code_.clear(X86Code::rax);
    // A cache line at a time, then a vector, then what is left of one.
    const int line = kCacheLine / code_.vector_bytes();
    loop(line, true);
    if (line > 1) loop(1, false);
    const std::size_t done = code_.jump(X86Code::Jump::if_zero);
    code_.set_mask();
    body(0, true);
    code_.bind(done);
    if (spares) code_.pop(kSpare);
    code_.end_function();
  }

  // While there are so many vectors left.
  void loop(int vectors, bool ahead) {
    const int elements = vectors * code_.lanes();
    code_.subtract_immediate(X86Code::rdi, elements);
    const std::size_t past = code_.jump(X86Code::Jump::if_less);
    code_.align();
    const std::size_t top = code_.place();
    if (ahead) ask_ahead();
    for (int k = 0; k < vectors; ++k) body(k * code_.vector_bytes(), false);
    code_.add_immediate(X86Code::rax, vectors * code_.vector_bytes());
    code_.subtract_immediate(X86Code::rdi, elements);
    code_.jump_back(X86Code::Jump::if_not_less, top);
    code_.bind(past);
    code_.add_immediate(X86Code::rdi, elements);
  }

  void ask_ahead() {
    const int arrays = update::kStatePlaces + program_.state_count;
    const auto ahead = static_cast<int>(reach_ahead(static_cast<std::uintptr_t>(arrays)));
    for (int place = 0; place < arrays; ++place) code_.prefetch(base(place), ahead);
  }

  static X86Code::Register base(int place) {
    constexpr X86Code::Register bases[] = {X86Code::rsi, X86Code::rdx, X86Code::r9,
                                           X86Code::r10, X86Code::r11, X86Code::rbx};
    static_assert(std::size(bases) == kArrays);
    return bases[place];
  }

  // One vector's worth of the program.
  void body(int offset, bool masked) {
    offset_ = offset;
    masked_ = masked;
    std::fill(std::begin(vector_of_), std::end(vector_of_), -1);
    std::fill(std::begin(taken_), std::end(taken_), false);
    for (int i = 0; i < program_.length && problem_.empty(); ++i) {
      const Instruction& instruction = program_.code[i];
      Vector operands[3] = {};
      for (int k = 0; k < update::operands_of(instruction.code); ++k) {
        operands[k] = value(instruction.operand[k]);
      }
      const Vector out = take();
      compute(instruction, out, operands[0], operands[1], operands[2]);
      release(instruction.out);
      vector_of_[instruction.out] = out;
      if (is_array(instruction.out) && !is_written(instruction.out, i + 1)) {
        code_.store(out, base(instruction.out), offset_, masked_);
      }
      for (int place = 0; place < kPlaces; ++place) {
        if (vector_of_[place] >= 0 && !is_read(place, i + 1)) release(place);
      }
    }
  }

  Vector take() {
    const auto free = std::find(taken_, taken_ + for_values(), false);
    if (free == taken_ + for_values()) {
      problem_ = kNoRoom;
      return 0;
    }
    *free = true;
    const auto vector = static_cast<Vector>(free - taken_);
    most_live_ = std::max(most_live_, vector + 1);
    return vector;
  }

  void release(int place) {
    if (vector_of_[place] >= 0) taken_[vector_of_[place]] = false;
    vector_of_[place] = -1;
  }

  // A place's value, from memory where it isn't in a vector yet.
  Vector value(int place) {
    if (vector_of_[place] < 0) {
      vector_of_[place] = take();
      code_.load(vector_of_[place], base(place), offset_, masked_);
    }
    return vector_of_[place];
  }

  bool is_written(int place, int from) const {
    return std::any_of(program_.code + from, program_.code + program_.length,
                       [&](const Instruction& i) { return i.out == place; });
  }
  // Whether what a place has now is read later.
  bool is_read(int place, int from) const {
    for (int i = from; i < program_.length; ++i) {
      const Instruction& instruction = program_.code[i];
      for (int k = 0; k < update::operands_of(instruction.code); ++k) {
        if (instruction.operand[k] == place) return true;
      }
      if (instruction.out == place) return false;
    }
    return false;
  }

  // A scalar in all lanes of a vector: where it is kept, or `otherwise`.
  Vector scalar(const Instruction& instruction, int which, Vector otherwise) {
    const int number = instruction.scalar[which];
    if (scalar_at_[number] >= 0) return scalar_at_[number];
    code_.broadcast(otherwise, X86Code::r8, number * item_);
    return otherwise;
  }

  void put_scalar(Vector out, const Instruction& instruction, int which) {
    code_.move(out, scalar(instruction, which, out));
  }

  // As update::compute, with products and sums rounded once where compilers do so too. `out` is
  // no operand. A scalar that isn't kept comes to work(0), unless said otherwise.
  void compute(const Instruction& instruction, Vector out, Vector a, Vector b, Vector c) {
    using enum X86Code::Binary;
    const Vector x = work(1);
    const auto s = [&](int which, int at = 0) { return scalar(instruction, which, work(at)); };
    switch (instruction.code) {
      case Opcode::fill:
        return put_scalar(out, instruction, 0);
      case Opcode::copy:
        return code_.move(out, a);
      case Opcode::affine:
        put_scalar(out, instruction, 1);
        return code_.multiply_add(out, s(0), a);
      case Opcode::combine:
        code_.binary(multiply, out, s(1), b);
        return code_.multiply_add(out, s(0), a);
      case Opcode::multiply:
        code_.binary(multiply, x, s(0), a);
        put_scalar(out, instruction, 1);
        return code_.multiply_add(out, x, b);
      case Opcode::multiply_add:
        code_.binary(multiply, x, s(0), a);
        code_.binary(multiply, out, s(1), c);
        return code_.multiply_add(out, x, b);
      case Opcode::divide:
        code_.binary(multiply, out, s(0), a);
        code_.binary(divide, out, out, b);
        return code_.binary(add, out, out, s(1));
      case Opcode::divide_add:
        code_.binary(multiply, out, s(0), a);
        code_.binary(divide, out, out, b);
        return code_.multiply_add(out, s(1), c);
      case Opcode::reciprocal:
        code_.binary(divide, out, s(0), a);
        return code_.binary(add, out, out, s(1));
      case Opcode::reciprocal_add:
        code_.binary(divide, out, s(0), a);
        return code_.multiply_add(out, s(1), b);
      case Opcode::divide_root_add:
        code_.binary(multiply, x, s(1), b);
        code_.square_root(x, x);
        code_.binary(add, x, x, s(2));
        code_.binary(multiply, out, s(0), a);
        code_.binary(divide, out, out, x);
        return code_.multiply_add(out, s(3), c);
      case Opcode::clip:
        extreme(maximum, x, a, s(0));
        return extreme(minimum, out, x, s(1));
      case Opcode::minimum:
        return extreme(minimum, out, a, b);
      case Opcode::minimum_s:
        return extreme(minimum, out, a, s(0));
      case Opcode::maximum:
        return extreme(maximum, out, a, b);
      case Opcode::maximum_s:
        return extreme(maximum, out, a, s(0));
      case Opcode::less:
        return compare(X86Code::less, out, a, b);
      case Opcode::less_s:
        return compare(X86Code::less, out, a, s(0));
      case Opcode::greater_s:
        return compare(X86Code::greater, out, a, s(0));
      case Opcode::less_equal:
        return compare(X86Code::less_equal, out, a, b);
      case Opcode::less_equal_s:
        return compare(X86Code::less_equal, out, a, s(0));
      case Opcode::greater_equal_s:
        return compare(X86Code::greater_equal, out, a, s(0));
      case Opcode::equal:
        return compare(X86Code::equal, out, a, b);
      case Opcode::equal_s:
        return compare(X86Code::equal, out, a, s(0));
      case Opcode::not_equal:
        return compare(X86Code::not_equal_or_nan, out, a, b);
      case Opcode::not_equal_s:
        return compare(X86Code::not_equal_or_nan, out, a, s(0));
      case Opcode::select:
        return where_not_zero(out, a, b, c);
      case Opcode::select_vs:
        return where_not_zero(out, a, b, s(0));
      case Opcode::select_sv:
        return where_not_zero(out, a, s(0), b);
      case Opcode::select_ss:
        return where_not_zero(out, a, s(0), s(1, 1));
      case Opcode::abs:
      case Opcode::sign:
      case Opcode::floor:
      case Opcode::sqrt:
        put_scalar(x, instruction, 1);
        code_.multiply_add(x, s(0), a);
        apply(instruction.code, x, out);
        put_scalar(out, instruction, 3);
        return code_.multiply_add(out, s(2), x);
      default:  // needs a series
        problem_ = "an instruction that is not known";
    }
  }

  // AVX2 has masks in a vector; AVX-512 has registers for them.
  void choose(Vector out, X86Code::Predicate predicate, Vector a, Vector b, Vector yes, Vector no) {
    code_.select(out, predicate, a, b, yes, no, work(2));
  }

  // functors::math::max or min: NaN where either is; the second of two zeros.
  void extreme(X86Code::Binary op, Vector out, Vector a, Vector b) {
    code_.binary(op, out, a, b);
    choose(out, X86Code::unordered, a, a, a, out);
  }

  // Ones and zeros.
  void compare(X86Code::Predicate predicate, Vector out, Vector a, Vector b) {
    const Vector one = work(1);
    code_.broadcast(one, 1);
    set_zero(out);
    choose(out, predicate, a, b, one, out);
  }

  void where_not_zero(Vector out, Vector a, Vector yes, Vector no) {
    set_zero(out);
    choose(out, X86Code::not_equal_or_nan, a, out, yes, no);
  }

  void set_zero(Vector out) { code_.binary(X86Code::bit_xor, out, out, out); }

  // x = f(x); `free` is changed.
  void apply(Opcode function, Vector x, Vector free) {
    const Vector number = work(0);
    switch (function) {
      case Opcode::abs:
        code_.broadcast_bits(number, item_ == 8 ? ~std::uint64_t{0} >> 1 : 0x7fffffff);
        return code_.binary(X86Code::bit_and, x, x, number);
      case Opcode::floor:
        return code_.floor(x, x);
      case Opcode::sqrt:
        return code_.square_root(x, x);
      default:  // sign; zero and NaN stay what they are, and -1 is not above zero
        set_zero(free);
        code_.broadcast(number, -1);
        choose(x, X86Code::less, x, free, number, x);
        code_.broadcast(number, 1);
        return choose(x, X86Code::greater, x, free, number, x);
    }
  }

  const TracedProgram& program_;
  Level level_;
  Dtype dtype_;
  int item_;
  X86Code code_;
  std::string_view problem_;
  int scalar_at_[kMaxScalars];  // the vector that keeps a scalar
  std::vector<int> kept_;
  int most_live_ = 0;
  int offset_ = 0;
  bool masked_ = false;
  Vector vector_of_[kPlaces] = {};  // a place's value, or -1
  bool taken_[32] = {};
};

bool is_wanted() {
  const char* wanted = std::getenv("CHAINRULE_COMPILE_RULES");
  return !wanted || std::string_view(wanted) != "0";
}

// Bytes of a function, rounded up so that the next one starts a cache line.
std::size_t room_of(const WrittenLoop& loop) {
  return (loop.bytes.size() + kCacheLine - 1) / kCacheLine * kCacheLine;
}

}  // namespace

WrittenLoop write_loop(const TracedProgram& program, Level level, Dtype dtype) {
  return Writer(program, level, dtype).write();
}

TracedCode::TracedCode(const TracedProgram& program) {
  const std::string_view set = instruction_set();
  if (set == "baseline") {
    problem_ = "kernels for processors without AVX2";
  } else {
    make(program, set == "avx512" ? Level::avx512 : Level::avx2);
  }
}

TracedCode::TracedCode(const TracedProgram& program, Level level) { make(program, level); }

void TracedCode::make(const TracedProgram& program, Level level) {
  if (!is_wanted()) {
    problem_ = "CHAINRULE_COMPILE_RULES=0";
    return;
  }
#if defined(__x86_64__) && defined(CHAINRULE_HAVE_MMAP)
  const WrittenLoop loops[] = {write_loop(program, level, Dtype::float32),
                               write_loop(program, level, Dtype::float64)};
  for (const WrittenLoop& loop : loops) {
    if (!loop.problem.empty()) problem_ = loop.problem;
  }
  if (!problem_.empty()) return;
  const std::size_t size = room_of(loops[0]) + room_of(loops[1]);
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    problem_ = "no memory for code";
    return;
  }
  memory_ = {memory, Unmap{size}};
  auto* bytes = static_cast<std::uint8_t*>(memory);
  for (const WrittenLoop& loop : loops) {
    std::memcpy(bytes, loop.bytes.data(), loop.bytes.size());
    bytes += room_of(loop);
  }
  // Never to be written and run at the same time; some systems don't allow it one after the other.
  if (mprotect(memory, size, PROT_READ | PROT_EXEC) != 0) {
    memory_.reset();
    problem_ = "the system lets no program run code of its own making";
    return;
  }
  bytes = static_cast<std::uint8_t*>(memory);
  loops_[0] = reinterpret_cast<update::TracedLoop>(bytes);
  loops_[1] = reinterpret_cast<update::TracedLoop>(bytes + room_of(loops[0]));
#else
  static_cast<void>(program);
  static_cast<void>(level);
  problem_ = "not for this processor";
#endif
}

std::string problem_with_traced_code() {
  const Instruction copy{Opcode::copy, update::kParamPlace, {update::kGradPlace}, {}};
  TracedProgram smallest{};
  smallest.code = &copy;
  smallest.length = 1;
  return TracedCode(smallest).problem();
}

void Unmap::operator()(void* memory) const {
#if defined(CHAINRULE_HAVE_MMAP)
  munmap(memory, size);
#else
  static_cast<void>(memory);
#endif
}

}  // namespace chainrule::cpu
