#include "chainrule/backend/cpu/traced_code.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "cuda/kernels/traced_programs.h"

namespace chainrule::testing {
namespace {

using cpu::TracedCode;
using cpu::X86Code;
using update::Instruction;
using update::Opcode;
using Level = X86Code::Level;

std::vector<Level> levels() {
  std::vector<Level> out;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    out.push_back(Level::avx2);
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    out.push_back(Level::avx512);
  }
#endif
  return out;
}

template <class T>
constexpr Dtype kDtype = sizeof(T) == 8 ? Dtype::float64 : Dtype::float32;

bool needs_series(Opcode code) {
  return (code >= Opcode::power && code <= Opcode::power_of_s) ||
         (code >= Opcode::exp && code <= Opcode::tanh && code != Opcode::count);
}

// What an instruction says, a sum with a product rounded once.
template <class T>
T defined(Opcode code, const T* s, T a, T b, T c) {
  const T zero = 0;
  const T one = 1;
  const auto nan_or = [](T x, T y, T chosen) {
    return std::isnan(x) || std::isnan(y) ? x + y : chosen;
  };
  const auto finish = [&](T y) { return std::fma(s[2], y, s[3]); };
  const T x = std::fma(s[0], a, s[1]);
  switch (code) {
    case Opcode::fill:
      return s[0];
    case Opcode::copy:
      return a;
    case Opcode::affine:
      return x;
    case Opcode::combine:
      return std::fma(s[0], a, s[1] * b);
    case Opcode::multiply:
      return std::fma(s[0] * a, b, s[1]);
    case Opcode::multiply_add:
      return std::fma(s[0] * a, b, s[1] * c);
    case Opcode::divide:
      return s[0] * a / b + s[1];
    case Opcode::divide_add:
      return std::fma(s[1], c, s[0] * a / b);
    case Opcode::reciprocal:
      return s[0] / a + s[1];
    case Opcode::reciprocal_add:
      return std::fma(s[1], b, s[0] / a);
    case Opcode::divide_root_add:
      return std::fma(s[3], c, s[0] * a / (std::sqrt(s[1] * b) + s[2]));
    case Opcode::clip: {
      const T larger = nan_or(a, s[0], a > s[0] ? a : s[0]);
      return nan_or(larger, s[1], larger < s[1] ? larger : s[1]);
    }
    case Opcode::minimum:
      return nan_or(a, b, a < b ? a : b);
    case Opcode::minimum_s:
      return nan_or(a, s[0], a < s[0] ? a : s[0]);
    case Opcode::maximum:
      return nan_or(a, b, a > b ? a : b);
    case Opcode::maximum_s:
      return nan_or(a, s[0], a > s[0] ? a : s[0]);
    case Opcode::less:
      return a < b ? one : zero;
    case Opcode::less_s:
      return a < s[0] ? one : zero;
    case Opcode::greater_s:
      return a > s[0] ? one : zero;
    case Opcode::less_equal:
      return a <= b ? one : zero;
    case Opcode::less_equal_s:
      return a <= s[0] ? one : zero;
    case Opcode::greater_equal_s:
      return a >= s[0] ? one : zero;
    case Opcode::equal:
      return a == b ? one : zero;
    case Opcode::equal_s:
      return a == s[0] ? one : zero;
    case Opcode::not_equal:
      return a != b ? one : zero;
    case Opcode::not_equal_s:
      return a != s[0] ? one : zero;
    case Opcode::select:
      return a != zero ? b : c;
    case Opcode::select_vs:
      return a != zero ? b : s[0];
    case Opcode::select_sv:
      return a != zero ? s[0] : b;
    case Opcode::select_ss:
      return a != zero ? s[0] : s[1];
    case Opcode::abs:
      return finish(std::abs(x));
    case Opcode::sign:
      return finish(x > 0 ? one : x < 0 ? -one : x);
    case Opcode::floor:
      return finish(std::floor(x));
    case Opcode::sqrt:
      return finish(std::sqrt(x));
    default:
      ADD_FAILURE() << "no definition";
      return zero;
  }
}

// An array that ends where memory that may be neither read nor written begins.
template <class T>
class Guarded {
 public:
  explicit Guarded(const std::vector<T>& values)
      : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))),
        pages_(values.size() * sizeof(T) / page_ + 2) {
    memory_ = static_cast<std::byte*>(
        mmap(nullptr, pages_ * page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(memory_ + (pages_ - 1) * page_, page_, PROT_NONE);
    data_ = reinterpret_cast<T*>(memory_ + (pages_ - 1) * page_) - values.size();
    std::copy(values.begin(), values.end(), data_);
  }
  Guarded(const Guarded&) = delete;
  ~Guarded() { munmap(memory_, pages_ * page_); }

  T* data() { return data_; }
  T operator[](std::size_t i) const { return data_[i]; }

 private:
  std::size_t page_;
  std::size_t pages_;
  std::byte* memory_;
  T* data_;
};

template <class T>
class Numbers {
 public:
  // Of both signs, sometimes equal ones, zeros, infinities and NaN.
  T next() {
    switch (random_() % 16) {
      case 0:
        return 0;
      case 1:
        return static_cast<T>(-0.0);
      case 2:
        return std::numeric_limits<T>::infinity();
      case 3:
        return -std::numeric_limits<T>::infinity();
      case 4:
        return std::numeric_limits<T>::quiet_NaN();
      case 5:
        return static_cast<T>(static_cast<int>(random_() % 7) - 3);
      default:
        return static_cast<T>(std::normal_distribution<double>()(random_));
    }
  }
  std::vector<T> next(std::size_t n) {
    std::vector<T> out(n);
    for (T& x : out) x = next();
    return out;
  }

 private:
  std::mt19937 random_{7};
};

template <class T>
void expect_same(T found, T expected, const std::string& where) {
  if (std::isnan(expected)) {
    ASSERT_TRUE(std::isnan(found)) << where << ": got " << found;
  } else {
    ASSERT_EQ(found, expected) << where;
    ASSERT_EQ(std::signbit(found), std::signbit(expected)) << where;
  }
}

// The program, element by element.
template <class T>
void interpret(const WrittenProgram& program, const T* scalars, T* values) {
  for (const Instruction& i : program.code) {
    T s[update::kMaxScalarOperands];
    for (int k = 0; k < update::kMaxScalarOperands; ++k) s[k] = scalars[i.scalar[k]];
    values[i.out] =
        defined(i.code, s, values[i.operand[0]], values[i.operand[1]], values[i.operand[2]]);
  }
}

template <class T>
void expect_as_defined(const WrittenProgram& program, Level level, const std::string& name) {
  const TracedCode code(program.view(), level);
  ASSERT_EQ(code.problem(), "") << name;
  const update::TracedLoop loop = code.loop(kDtype<T>);
  Numbers<T> numbers;
  for (const std::size_t n : {0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 257}) {
    std::vector<T> scalars = numbers.next(static_cast<std::size_t>(program.coefs));
    for (const double x : program.constants) scalars.push_back(static_cast<T>(x));
    scalars.resize(scalars.size() + 1);  // what operands that aren't there point to
    std::vector<std::vector<T>> before(update::kRegisterPlaces);
    for (auto& array : before) array = numbers.next(n);
    Guarded<T> p(before[0]);
    Guarded<T> g(before[1]);
    Guarded<T> s0(before[2]);
    Guarded<T> s1(before[3]);
    Guarded<T> s2(before[4]);
    Guarded<T> s3(before[5]);
    void* states[] = {s0.data(), s1.data(), s2.data(), s3.data()};
    loop(static_cast<std::int64_t>(n), p.data(), g.data(), states, scalars.data());
    for (std::size_t i = 0; i < n; ++i) {
      T values[update::kRegisterPlaces + update::kMaxRegisters] = {};
      for (std::size_t k = 0; k < before.size(); ++k) values[k] = before[k][i];
      interpret(program, scalars.data(), values);
      const T found[] = {p[i], g[i], s0[i], s1[i], s2[i], s3[i]};
      for (std::size_t k = 0; k < before.size(); ++k) {
        const T expected =
            k < 2 + static_cast<std::size_t>(program.states) ? values[k] : before[k][i];
        expect_same(found[k], expected,
                    name + ", array " + std::to_string(k) + ", element " + std::to_string(i) +
                        " of " + std::to_string(n));
      }
    }
  }
}

void expect_as_defined(const WrittenProgram& program, const std::string& name) {
  for (const Level level : levels()) {
    const std::string where = name + (level == Level::avx2 ? ", AVX2" : ", AVX-512");
    expect_as_defined<float>(program, level, where + ", float");
    expect_as_defined<double>(program, level, where + ", double");
  }
}

std::uint8_t u8(int x) { return static_cast<std::uint8_t>(x); }

TEST(TracedCode, EveryInstructionIsWhatItSays) {
  for (int i = 0; i < static_cast<int>(Opcode::count); ++i) {
    const auto code = static_cast<Opcode>(i);
    if (needs_series(code)) continue;
    WrittenProgram program;
    program.states = 2;
    program.coefs = 4;
    // Into an array, and in its own place.
    program.code.push_back({code, u8(3), {1, 0, 2}, {0, 1, 2, 3}});
    program.code.push_back({code, u8(0), {0, 2, 1}, {3, 2, 1, 0}});
    expect_as_defined(program, "instruction " + std::to_string(i));
  }
}

// More scalars than can be kept, registers used anew, results read again after they are written.
TEST(TracedCode, LongProgramsOfAnyShapeAreWhatTheySay) {
  std::mt19937 random(3);
  const auto below = [&](int n) {
    return u8(static_cast<int>(random() % static_cast<unsigned>(n)));
  };
  for (int trial = 0; trial < 60; ++trial) {
    WrittenProgram program;
    program.states = trial % 5;
    program.coefs = 3;
    program.registers = 1 + trial % 4;
    for (int k = 0; k < trial % 30; ++k) program.constants.push_back(0.25 * k - 2);
    const int scalars = program.coefs + static_cast<int>(program.constants.size());
    std::vector<std::uint8_t> readable = {0, 1};
    for (int k = 0; k < program.states; ++k) readable.push_back(WrittenProgram::state(k));
    std::vector<std::uint8_t> writable = readable;
    writable.erase(writable.begin() + 1);  // not the gradient
    for (int k = 0; k < program.registers; ++k) writable.push_back(WrittenProgram::scratch(k));
    for (int length = 1 + trial; length > 0;) {
      const auto code = static_cast<Opcode>(below(static_cast<int>(Opcode::count)));
      if (needs_series(code)) continue;
      const auto any = [&] { return readable[below(static_cast<int>(readable.size()))]; };
      const Instruction next{code,
                             writable[below(static_cast<int>(writable.size()))],
                             {any(), any(), any()},
                             {below(scalars), below(scalars), below(scalars), below(scalars)}};
      program.code.push_back(next);
      if (std::find(readable.begin(), readable.end(), next.out) == readable.end()) {
        readable.push_back(next.out);
      }
      --length;
    }
    expect_as_defined(program, "program " + std::to_string(trial));
  }
}

TEST(TracedCode, SaysWhatItDoesNotWrite) {
  WrittenProgram series;
  series.code.push_back({Opcode::tanh, 0, {1, 1, 1}, {}});
  series.constants = {1};
  EXPECT_EQ(cpu::write_loop(series.view(), Level::avx512, Dtype::float32).problem,
            "the instruction tanh");

  WrittenProgram wide;
  wide.registers = 20;
  wide.constants = {1};
  for (int k = 0; k < wide.registers; ++k) {
    wide.code.push_back({Opcode::affine, WrittenProgram::scratch(k), {1, 1, 1}, {}});
  }
  for (int k = 0; k < wide.registers; ++k) {
    wide.code.push_back({Opcode::combine, 0, {0, WrittenProgram::scratch(k), 0}, {}});
  }
  EXPECT_EQ(cpu::write_loop(wide.view(), Level::avx512, Dtype::float32).problem, "");
  EXPECT_EQ(cpu::write_loop(wide.view(), Level::avx2, Dtype::float32).problem,
            "more values at a time than the processor has registers");
  EXPECT_TRUE(cpu::write_loop(wide.view(), Level::avx2, Dtype::float32).bytes.empty());

  WrittenProgram plain = nothing_but_a_copy();
  setenv("CHAINRULE_COMPILE_RULES", "0", 1);
  const TracedCode unwanted(plain.view(), Level::avx2);
  unsetenv("CHAINRULE_COMPILE_RULES");
  EXPECT_EQ(unwanted.loop(Dtype::float32), nullptr);
  EXPECT_EQ(unwanted.problem(), "CHAINRULE_COMPILE_RULES=0");
}

TEST(TracedCode, MovesAndIsFreed) {
  if (levels().empty()) GTEST_SKIP() << "needs a processor with AVX2";
  const WrittenProgram program = nothing_but_a_copy();
  TracedCode kept;
  EXPECT_EQ(kept.loop(Dtype::float32), nullptr);
  for (int i = 0; i < 100; ++i) kept = TracedCode(program.view(), Level::avx2);
  float p = 0;
  const float g = 3;
  kept.loop(Dtype::float32)(1, &p, &g, nullptr, nullptr);
  EXPECT_EQ(p, 3);
}

}  // namespace
}  // namespace chainrule::testing
