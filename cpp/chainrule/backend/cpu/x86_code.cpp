#include "chainrule/backend/cpu/x86_code.h"

#include <algorithm>
#include <bit>

namespace chainrule::cpu {
namespace {

// Where opcodes stand, and the prefix that chooses among those of one number.
enum Map : std::uint8_t { k0F = 1, k0F38 = 2, k0F3A = 3 };
enum Prefix : std::uint8_t { kNone = 0, k66 = 1 };

constexpr int kTailMask = 1;     // k registers of AVX-512
constexpr int kCompareMask = 2;  //
constexpr X86Code::Vector kMaskVector = 15;
constexpr int kMaskTableHalf = 32;  // bytes of ones, and as many of zeros

constexpr unsigned low(int number) { return static_cast<unsigned>(number) & 7; }
constexpr unsigned bit(int number, int which) {
  return (static_cast<unsigned>(number) >> which) & 1;
}
constexpr unsigned mod_rm(unsigned mod, unsigned reg, unsigned rm) {
  return mod << 6 | reg << 3 | rm;
}
constexpr unsigned kWithDisplacement = 2;  // of 4 bytes
constexpr unsigned kRegisters = 3;
constexpr unsigned kSib = 4;
constexpr unsigned kRipRelative = 5;

}  // namespace

struct X86Code::Encoding {
  std::uint8_t opcode;
  Map map;
  Prefix prefix;
  bool wide;
};

struct X86Code::Memory {
  enum class Kind : std::uint8_t { indexed, plain, constant } kind;  // indexed by rax
  Register base;
  int offset;
  std::size_t place;
};

struct X86Code::Masked {
  int mask = 0;  // 0: none
  bool zero = false;
};

X86Code::X86Code(Level level, Dtype dtype)
    : level_(level), item_(static_cast<int>(item_size(dtype))) {}

void X86Code::bytes(std::initializer_list<unsigned> values) {
  for (const unsigned value : values) byte(value);
}

void X86Code::immediate(std::int32_t value) {
  code_.resize(code_.size() + 4);
  immediate_at(code_.size() - 4, value);
}

void X86Code::immediate_at(std::size_t at, std::int32_t value) {
  for (std::size_t k = 0; k < 4; ++k) {
    code_[at + k] = static_cast<std::uint8_t>(static_cast<std::uint32_t>(value) >> (8 * k));
  }
}

// `reg`, `x` and `b` are bits 3 (and 4) of what the three fields of ModRM and SIB name; most are
// stored inverted.
void X86Code::vector_prefix(const Encoding& encoding,
                            int reg,
                            int first,
                            int x,
                            int b,
                            Masked masked) {
  const unsigned w = encoding.wide ? 1 : 0;
  const unsigned inverted = ~static_cast<unsigned>(first) & 15;
  const unsigned rxb = (bit(reg, 3) ^ 1) << 7 | static_cast<unsigned>(x ^ 1) << 6 |
                       static_cast<unsigned>(b ^ 1) << 5;
  if (level_ == Level::avx512) {
    bytes({0x62, rxb | (bit(reg, 4) ^ 1) << 4 | encoding.map,
           w << 7 | inverted << 3 | 4U | encoding.prefix,
           (masked.zero ? 0x80U : 0U) | 0x40U | (bit(first, 4) ^ 1) << 3 |
               static_cast<unsigned>(masked.mask)});
  } else {
    bytes({0xc4, rxb | encoding.map, w << 7 | inverted << 3 | 4U | encoding.prefix});
  }
  byte(encoding.opcode);
}

void X86Code::with_vector(const Encoding& encoding, int reg, int first, int second) {
  vector_prefix(encoding, reg, first, static_cast<int>(bit(second, 4)),
                static_cast<int>(bit(second, 3)), {});
  byte(mod_rm(kRegisters, low(reg), low(second)));
}

void X86Code::with_memory(const Encoding& encoding,
                          int reg,
                          int first,
                          const Memory& at,
                          Masked masked) {
  const bool based = at.kind != Memory::Kind::constant;
  vector_prefix(encoding, reg, first, 0, based ? static_cast<int>(bit(at.base, 3)) : 0, masked);
  if (!based) {
    byte(mod_rm(0, low(reg), kRipRelative));
    fixups_.push_back({code_.size(), at.place});
    immediate(0);
    return;
  }
  if (at.kind == Memory::Kind::indexed) {
    bytes({mod_rm(kWithDisplacement, low(reg), kSib), low(rax) << 3 | low(at.base)});
  } else {
    byte(mod_rm(kWithDisplacement, low(reg), low(at.base)));
  }
  immediate(at.offset);
}

X86Code::Encoding X86Code::arithmetic(std::uint8_t opcode) const {
  const bool wide = item_ == 8;
  return {opcode, k0F, wide ? k66 : kNone, wide};
}

void X86Code::transfer(bool to_memory, Vector which, Register base, int offset, bool masked) {
  const Memory at{Memory::Kind::indexed, base, offset, 0};
  if (masked && level_ == Level::avx2) {
    const int opcode = (to_memory ? 0x2e : 0x2c) + (item_ == 8 ? 1 : 0);
    with_memory({static_cast<std::uint8_t>(opcode), k0F38, k66, false}, which, kMaskVector, at, {});
  } else {
    with_memory(arithmetic(to_memory ? 0x11 : 0x10), which, 0, at,
                masked ? Masked{kTailMask, !to_memory} : Masked{});
  }
}

void X86Code::load(Vector out, Register base, int offset, bool masked) {
  transfer(false, out, base, offset, masked);
}

void X86Code::store(Vector from, Register base, int offset, bool masked) {
  transfer(true, from, base, offset, masked);
}

void X86Code::set_mask() {
  if (level_ == Level::avx512) {
    bytes({0x89, 0xf9});                                          // mov ecx, edi
    bytes({0xbf, 0xff, 0xff, 0xff, 0xff});                        // mov edi, -1
    bytes({0xd3, 0xe7});                                          // shl edi, cl
    bytes({0xf7, 0xd7});                                          // not edi
    bytes({0xc5, 0xf8, 0x92, 0xc0 | kTailMask << 3 | low(rdi)});  // kmovw k1, edi
    return;
  }
  bytes({0x48, 0x8d, mod_rm(0, low(rcx), kRipRelative)});  // lea rcx, [the zeros of the table]
  has_mask_table_ = true;
  mask_table_fixup_ = code_.size();
  immediate(0);
  bytes({0x48, 0xc1, 0xe7, item_ == 8 ? 3U : 2U});  // shl rdi
  bytes({0x48, 0x29, 0xf9});                        // sub rcx, rdi
  with_memory({0x10, k0F, kNone, false}, kMaskVector, 0, {Memory::Kind::plain, rcx, 0, 0}, {});
}

void X86Code::prefetch(Register base, int offset) {
  if (base >= r8) byte(0x41);
  bytes({0x0f, 0x18, mod_rm(kWithDisplacement, 1, kSib), low(rax) << 3 | low(base)});
  immediate(offset);
}

X86Code::Encoding X86Code::broadcasting() const {
  const auto opcode = static_cast<std::uint8_t>(item_ == 8 ? 0x19 : 0x18);
  return {opcode, k0F38, k66, item_ == 8 && level_ == Level::avx512};
}

void X86Code::broadcast(Vector out, Register base, int offset) {
  with_memory(broadcasting(), out, 0, {Memory::Kind::plain, base, offset, 0}, {});
}

void X86Code::broadcast_bits(Vector out, std::uint64_t bits) {
  with_memory(broadcasting(), out, 0, {Memory::Kind::constant, rax, 0, constant(bits)}, {});
}

void X86Code::broadcast(Vector out, double value) {
  broadcast_bits(out, item_ == 8 ? std::bit_cast<std::uint64_t>(value)
                                 : std::bit_cast<std::uint32_t>(static_cast<float>(value)));
}

std::size_t X86Code::constant(std::uint64_t bits) {
  const auto found = std::find(constants_.begin(), constants_.end(), bits);
  if (found == constants_.end()) {
    constants_.push_back(bits);
    return constants_.size() - 1;
  }
  return static_cast<std::size_t>(found - constants_.begin());
}

void X86Code::binary(Binary op, Vector out, Vector a, Vector b) {
  with_vector(arithmetic(op), out, a, b);
}

void X86Code::multiply_add(Vector out, Vector a, Vector b) {
  with_vector({0xb8, k0F38, k66, item_ == 8}, out, a, b);
}

void X86Code::square_root(Vector out, Vector a) { with_vector(arithmetic(0x51), out, 0, a); }

void X86Code::move(Vector out, Vector a) {
  if (out != a) with_vector(arithmetic(0x28), out, 0, a);
}

void X86Code::floor(Vector out, Vector a) {
  constexpr unsigned kDown = 9;  // towards minus infinity, and nobody is told that it was inexact
  const auto opcode = static_cast<std::uint8_t>(item_ == 8 ? 0x09 : 0x08);
  with_vector({opcode, k0F3A, k66, item_ == 8 && level_ == Level::avx512}, out, 0, a);
  byte(kDown);
}

void X86Code::select(Vector out,
                     Predicate predicate,
                     Vector a,
                     Vector b,
                     Vector yes,
                     Vector no,
                     Vector scratch) {
  if (level_ == Level::avx512) {
    with_vector(arithmetic(0xc2), kCompareMask, a, b);
    byte(predicate);
    // out = mask ? second : first
    const Encoding blend{0x65, k0F38, k66, item_ == 8};
    vector_prefix(blend, out, no, static_cast<int>(bit(yes, 4)), static_cast<int>(bit(yes, 3)),
                  {kCompareMask, false});
    byte(mod_rm(kRegisters, low(out), low(yes)));
    return;
  }
  with_vector(arithmetic(0xc2), scratch, a, b);
  byte(predicate);
  const auto opcode = static_cast<std::uint8_t>(item_ == 8 ? 0x4b : 0x4a);
  with_vector({opcode, k0F3A, k66, false}, out, no, yes);
  byte(static_cast<unsigned>(scratch) << 4);
}

void X86Code::begin_function() { bytes({0xf3, 0x0f, 0x1e, 0xfa}); }  // endbr64

void X86Code::end_function() {
  bytes({0xc5, 0xf8, 0x77});  // vzeroupper
  byte(0xc3);
}

void X86Code::push(Register which) { byte(0x50 | low(which)); }
void X86Code::pop(Register which) { byte(0x58 | low(which)); }

void X86Code::load_pointer(Register out, Register base, int offset) {
  bytes({0x48 | bit(out, 3) << 2 | bit(base, 3), 0x8b,
         mod_rm(kWithDisplacement, low(out), low(base))});
  immediate(offset);
}

void X86Code::clear(Register which) { bytes({0x31, mod_rm(kRegisters, low(which), low(which))}); }

void X86Code::arithmetic_immediate(unsigned digit, Register which, std::int32_t value) {
  bytes({0x48 | bit(which, 3), 0x81, mod_rm(kRegisters, digit, low(which))});
  immediate(value);
}

void X86Code::add_immediate(Register which, std::int32_t value) {
  arithmetic_immediate(0, which, value);
}

void X86Code::subtract_immediate(Register which, std::int32_t value) {
  arithmetic_immediate(5, which, value);
}

void X86Code::align() {
  constexpr std::size_t kLine = 32;
  constexpr std::size_t kLongNop = 8;
  while (code_.size() % kLine != 0) {
    if (kLine - code_.size() % kLine >= kLongNop) {
      bytes({0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0});
    } else {
      byte(0x90);
    }
  }
}

std::size_t X86Code::jump(Jump condition) {
  bytes({0x0f, static_cast<unsigned>(condition)});
  immediate(0);
  return code_.size();
}

void X86Code::bind(std::size_t jump) {
  immediate_at(jump - 4, static_cast<std::int32_t>(code_.size() - jump));
}

void X86Code::jump_back(Jump condition, std::size_t place) {
  const std::size_t after = jump(condition);
  immediate_at(after - 4, static_cast<std::int32_t>(static_cast<std::ptrdiff_t>(place) -
                                                    static_cast<std::ptrdiff_t>(after)));
}

std::vector<std::uint8_t> X86Code::finish() {
  const auto point_to = [&](std::size_t at, std::size_t target) {
    immediate_at(at, static_cast<std::int32_t>(target - (at + 4)));
  };
  while (code_.size() % 32 != 0) byte(0xcc);
  if (has_mask_table_) {
    code_.insert(code_.end(), kMaskTableHalf, 0xff);
    point_to(mask_table_fixup_, code_.size());
    code_.insert(code_.end(), kMaskTableHalf, 0);
  }
  const std::size_t pool = code_.size();
  for (const std::uint64_t bits : constants_) {
    for (unsigned k = 0; k < 64; k += 8) byte(static_cast<unsigned>(bits >> k) & 0xff);
  }
  for (const Fixup& fixup : fixups_) point_to(fixup.at, pool + 8 * fixup.place);
  return code_;
}

}  // namespace chainrule::cpu
