#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "chainrule/core/dtype.h"

namespace chainrule::cpu {

// Machine code for x86-64 with vectors of one floating type, written instruction by instruction:
// what a loop over arrays needs, for AVX2 with FMA and for AVX-512 (F, DQ, VL).
//
// Sources: Intel, "64 and IA-32 Architectures Software Developer's Manual", volume 2.
class X86Code {
 public:
  enum class Level { avx2, avx512 };
  enum Register : std::uint8_t { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11 };
  // Opcodes of what takes two vectors, or one.
  enum Binary : std::uint8_t {
    add = 0x58,
    multiply = 0x59,
    minimum = 0x5d,
    divide = 0x5e,
    maximum = 0x5f,
    bit_and = 0x54,
    bit_xor = 0x57,
  };
  // Ordered, which a NaN never is, and what is true of a NaN.
  enum Predicate : std::uint8_t {
    equal = 0x00,
    unordered = 0x03,
    not_equal_or_nan = 0x04,
    less = 0x11,
    less_equal = 0x12,
    greater_equal = 0x1d,
    greater = 0x1e,
  };
  // A vector's number.
  using Vector = int;

  X86Code(Level level, Dtype dtype);

  // Vectors to be used freely: from 0 on, without that of the mask.
  int vector_count() const { return level_ == Level::avx512 ? 32 : 15; }
  int vector_bytes() const { return level_ == Level::avx512 ? 64 : 32; }
  int lanes() const { return vector_bytes() / item_; }

  // Vectors in memory, at base + rax + offset. Masked, only the lanes of `set_mask` are touched;
  // AVX2 keeps its mask in vector 15.
  void load(Vector out, Register base, int offset, bool masked);
  void store(Vector from, Register base, int offset, bool masked);
  // The first `rdi` lanes, fewer than all. Changes rcx and rdi.
  void set_mask();
  // A cache line at base + rax + offset, into the first level.
  void prefetch(Register base, int offset);

  // One number in all lanes: from base + offset, or a constant of the code's own.
  void broadcast(Vector out, Register base, int offset);
  void broadcast(Vector out, double value);
  void broadcast_bits(Vector out, std::uint64_t bits);

  void binary(Binary op, Vector out, Vector a, Vector b);
  // out += a b, rounded once.
  void multiply_add(Vector out, Vector a, Vector b);
  void square_root(Vector out, Vector a);
  void floor(Vector out, Vector a);
  void move(Vector out, Vector a);
  // Lanes of `yes` where a and b compare so, else of `no`. AVX2 has its mask in `scratch`.
  void select(Vector out,
              Predicate predicate,
              Vector a,
              Vector b,
              Vector yes,
              Vector no,
              Vector scratch);

  // The rest of a function.
  void begin_function();
  void end_function();  // returns
  void push(Register which);
  void pop(Register which);
  void load_pointer(Register out, Register base, int offset);
  void clear(Register which);
  void add_immediate(Register which, std::int32_t value);  // sets the flags
  void subtract_immediate(Register which, std::int32_t value);

  // Places in the code. A jump forwards is bound to a place later.
  enum class Jump : std::uint8_t { if_less = 0x8c, if_not_less = 0x8d, if_zero = 0x84 };
  std::size_t place() const { return code_.size(); }
  void align();  // the next instruction
  std::size_t jump(Jump condition);
  void bind(std::size_t jump);
  void jump_back(Jump condition, std::size_t place);

  // The bytes, with the constants behind them.
  std::vector<std::uint8_t> finish();

 private:
  struct Encoding;
  struct Memory;
  struct Masked;

  void vector_prefix(const Encoding& encoding, int reg, int first, int x, int b, Masked masked);
  void with_vector(const Encoding& encoding, int reg, int first, int second);
  void with_memory(const Encoding& encoding, int reg, int first, const Memory& at, Masked masked);
  void transfer(bool to_memory, Vector which, Register base, int offset, bool masked);
  Encoding arithmetic(std::uint8_t opcode) const;
  Encoding broadcasting() const;
  std::size_t constant(std::uint64_t bits);
  void byte(unsigned value) { code_.push_back(static_cast<std::uint8_t>(value)); }
  void bytes(std::initializer_list<unsigned> values);
  void immediate(std::int32_t value);
  void immediate_at(std::size_t at, std::int32_t value);
  void arithmetic_immediate(unsigned digit, Register which, std::int32_t value);

  Level level_;
  int item_;  // bytes of a lane
  std::vector<std::uint8_t> code_;
  std::vector<std::uint64_t> constants_;
  struct Fixup {
    std::size_t at;     // of a displacement of 4 bytes that ends its instruction
    std::size_t place;  // among the constants
  };
  std::vector<Fixup> fixups_;
  bool has_mask_table_ = false;
  std::size_t mask_table_fixup_ = 0;
};

}  // namespace chainrule::cpu
