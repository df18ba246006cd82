import chainrule


def test_debug_mode():
    assert chainrule.is_debug() is False
    with chainrule.DebugMode(True):
        assert chainrule.is_debug() is True
        with chainrule.DebugMode(False):
            assert chainrule.is_debug() is False
        assert chainrule.is_debug() is True
    assert chainrule.is_debug() is False


def test_set_debug():
    chainrule.set_debug(True)
    try:
        assert chainrule.is_debug() is True
    finally:
        del chainrule.config.debug
