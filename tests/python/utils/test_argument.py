import pytest

from chainrule.utils import argument


def function(**kwargs):
    return argument.parse_kwargs(kwargs, ("a", 2), ("b", 3), test="test is gone")


def test_parse_kwargs():
    assert function(b=5) == (2, 5)
    with pytest.raises(
        TypeError, match=r"function\(\) got unexpected keyword argument\(s\) 'c', 'd'"
    ):
        function(d=1, c=2)
    with pytest.raises(ValueError, match="test is gone"):
        function(test=True)


def test_assert_kwargs_empty():
    def taker(**kwargs):
        argument.assert_kwargs_empty(kwargs)

    taker()
    with pytest.raises(TypeError, match=r"taker\(\) got unexpected keyword argument\(s\) 'x'"):
        taker(x=1)
