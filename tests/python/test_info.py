import io

import pytest

import chainrule
from chainrule import _core
from chainrule.info import runtime_info


def test_columns_are_aligned():
    out = io.StringIO()
    chainrule.print_runtime_info(out)
    lines = out.getvalue().splitlines()
    width = max(map(len, runtime_info())) + 2
    assert all(line[width - 1] == " " and line[width] != " " for line in lines)
    assert len(lines) == len(runtime_info())


def test_what_is_told(monkeypatch):
    info = runtime_info()
    assert info["chainrule"] == chainrule.__version__ == _core.__version__
    assert info["CPU kernels"] in ("baseline", "avx2", "avx512")
    assert int(info["threads"]) >= 1
    assert info["traced rules"] == "machine code" or info["CPU kernels"] == "baseline"
    monkeypatch.setenv("CHAINRULE_COMPILE_RULES", "0")
    assert runtime_info()["traced rules"].startswith("interpreted: ")
    monkeypatch.setattr(_core, "cuda_products", lambda: ("libcublas.so.13 13.0.0", ""))
    assert info["oneDNN"].startswith("3.")
    monkeypatch.setattr(_core, "cuda_status", lambda: (False, "no driver"))
    assert runtime_info()["CUDA"] == "not available: no driver"
    assert "traced rules on CUDA" not in runtime_info()
    monkeypatch.setattr(_core, "cuda_status", lambda: (True, "1 device"))
    monkeypatch.setattr(_core, "cuda_rule_compiler", lambda: ("libnvrtc.so.13 13.0", ""))
    assert runtime_info()["CUDA"] == "available"
    assert runtime_info()["traced rules on CUDA"] == "libnvrtc.so.13 13.0"
    monkeypatch.setattr(_core, "cuda_rule_compiler", lambda: ("", "NVRTC was not found"))
    assert runtime_info()["traced rules on CUDA"] == "interpreted: NVRTC was not found"
    assert runtime_info()["matrix products on CUDA"] == "libcublas.so.13 13.0.0"
    monkeypatch.setattr(_core, "cuda_products", lambda: ("", "cuBLAS is not here"))
    assert runtime_info()["matrix products on CUDA"] == "none: cuBLAS is not here"


def test_number_of_threads():
    before = chainrule.num_threads()
    try:
        chainrule.set_num_threads(1)
        assert chainrule.num_threads() == 1
        assert runtime_info()["threads"] == "1"
        with pytest.raises(ValueError, match=r"\[set_num_threads\] got 0, expected 1 to 4096"):
            chainrule.set_num_threads(0)
        assert chainrule.num_threads() == 1
    finally:
        chainrule.set_num_threads(before)
