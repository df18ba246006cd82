# What everything here is compiled with: the target chainrule_flags and a few CMake defaults.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
# There are no modules to look for, and what is looked through is compiled file by file.
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(CCACHE ccache)
mark_as_advanced(CCACHE)
if(CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CCACHE}")
  set(CMAKE_CUDA_COMPILER_LAUNCHER "${CCACHE}")
endif()

# The libraries lie beside the Python files, in the wheel as in the build tree.
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/site-packages/chainrule")
# From <prefix>/lib/python3.x/site-packages/chainrule to <prefix>/lib, where the oneDNN wheel puts
# libdnnl (the first lib is lib64 on some systems); the last one serves `pip install --target`.
set(CMAKE_INSTALL_RPATH "$ORIGIN;$ORIGIN/../../../../lib;$ORIGIN/../lib")

add_library(chainrule_flags INTERFACE)
target_include_directories(chainrule_flags INTERFACE "${PROJECT_SOURCE_DIR}/cpp")
target_compile_definitions(chainrule_flags INTERFACE CHAINRULE_VERSION="${CHAINRULE_VERSION}")

set(warnings -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(APPEND warnings -Wno-restrict)  # GCC 12 sees overlaps in "text" + string (GCC bug 105651)
endif()
list(JOIN warnings "," host_warnings)
# Warnings are errors to the compiler that everything is checked with. Later ones know warnings of
# which we do not, and which must not keep anybody from installing; `--preset dev` insists.
set(checked OFF)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  set(checked ON)
endif()
option(CMAKE_COMPILE_WARNING_AS_ERROR "Warnings are errors" ${checked})
target_compile_options(chainrule_flags INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:${warnings};-Wpedantic>"
  "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=${host_warnings}>")

# The kernels of cpp/chainrule/backend/cpu/kernels are compiled once per instruction set.
set(CHAINRULE_ISAS baseline)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
  # Tuned for the first processors that know them: for "generic" ones, GCC reads memory twice rather
  # than keep a value.
  set(isa_flags_avx2 -mavx2 -mfma -mf16c -mtune=haswell)
  set(isa_flags_avx512 ${isa_flags_avx2} -mavx512f -mavx512dq -mavx512bw -mavx512vl
                       -mprefer-vector-width=512 -mtune=skylake-avx512)
  set(CHAINRULE_X86_ISAS "avx2;avx512" CACHE STRING
      "Instruction sets that kernels are compiled for beside the oldest; native: this machine's best")
  set(isas ${CHAINRULE_X86_ISAS})
  if(isas STREQUAL "native")
    set(cpu "")
    if(EXISTS /proc/cpuinfo)
      file(STRINGS /proc/cpuinfo cpu REGEX "^flags" LIMIT_COUNT 1)
    endif()
    set(isas avx2)
    if(cpu MATCHES " avx512f .*" AND cpu MATCHES " avx512vl")
      set(isas avx512)
    endif()
  endif()
  foreach(isa IN LISTS isas)
    if(NOT DEFINED isa_flags_${isa})
      message(FATAL_ERROR "CHAINRULE_X86_ISAS: got ${isa}, expected avx2, avx512 or native")
    endif()
    list(APPEND CHAINRULE_ISAS ${isa})
  endforeach()
endif()
