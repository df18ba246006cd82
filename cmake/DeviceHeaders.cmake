# What NVRTC compiles users' rules with: the headers of cuda/kernels/update_kernel.cuh as text, in
# the library chainrule_device_headers. Run as a script, this file writes them into a C++ source.

if(CMAKE_SCRIPT_MODE_FILE)
  set(rows "")
  foreach(name IN LISTS NAMES)
    set(text "")  # what only the host needs is empty
    foreach(folder cuda/rtc cuda/kernels cpp)
      if(EXISTS "${ROOT}/${folder}/${name}")
        file(READ "${ROOT}/${folder}/${name}" text)
        break()
      endif()
    endforeach()
    string(APPEND rows "    {\"${name}\", R\"~~~(${text})~~~\"},\n")
  endforeach()
  foreach(name IN LISTS BLANK)
    string(APPEND rows "    {\"${name}\", \"\"},\n")
  endforeach()
  file(WRITE "${OUT}" "#include \"device_headers.h\"\n\nnamespace chainrule::cuda {\n\n"
    "const std::vector<DeviceHeader>& device_headers() {\n"
    "  static const std::vector<DeviceHeader> all = {\n${rows}  };\n  return all;\n}\n\n"
    "}  // namespace chainrule::cuda\n")
  return()
endif()

set(names
  builtins.h cstdint utility iosfwd string_view cuda_fp16.h
  pack.cuh traced.cuh update_block.cuh update_elements.cuh update_kernel.cuh
  chainrule/core/api.h chainrule/core/dtype.h
  chainrule/functors/convert.h chainrule/functors/half.h chainrule/functors/host_device.h
  chainrule/functors/math.h chainrule/functors/math_series.h chainrule/functors/philox.h
  chainrule/update/element.h chainrule/update/plan.h chainrule/update/reduced.h
  chainrule/update/rule.h chainrule/update/traced_element.h chainrule/update/traced_program.h)
set(blank chainrule/core/error.h cuda_bf16.h cuda_runtime.h)  # not needed there

set(texts "")
foreach(name IN LISTS names)
  file(GLOB found "${PROJECT_SOURCE_DIR}/cuda/rtc/${name}"
    "${PROJECT_SOURCE_DIR}/cuda/kernels/${name}" "${PROJECT_SOURCE_DIR}/cpp/${name}")
  if(NOT found)
    message(FATAL_ERROR "cmake/DeviceHeaders.cmake: there is no ${name}")
  endif()
  list(APPEND texts ${found})
endforeach()
set(out "${PROJECT_BINARY_DIR}/device_headers.cpp")
add_custom_command(OUTPUT "${out}"
  COMMAND "${CMAKE_COMMAND}" "-DROOT=${PROJECT_SOURCE_DIR}" "-DNAMES=${names}" "-DBLANK=${blank}"
          "-DOUT=${out}" -P "${CMAKE_CURRENT_LIST_FILE}"
  DEPENDS ${texts} "${CMAKE_CURRENT_LIST_FILE}"
  VERBATIM)
add_library(chainrule_device_headers OBJECT EXCLUDE_FROM_ALL "${out}")
target_include_directories(chainrule_device_headers PRIVATE "${PROJECT_SOURCE_DIR}/cuda")
target_link_libraries(chainrule_device_headers PRIVATE chainrule_flags)
