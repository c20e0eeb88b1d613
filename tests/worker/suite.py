"""What the Python scripts share: their setting, and a line of JSON for each test: its name, its error."""

import json
import sys
import traceback

SETTING = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}


def run(names):
    """Runs every `test_` of a module's names, in their order."""
    for name, test in list(names.items()):
        if not name.startswith("test_"):
            continue
        error = None
        try:
            test()
        except BaseException:
            error = traceback.format_exc()
        readable = name.removeprefix("test_").replace("_", " ")
        print(json.dumps({"name": readable, "error": error}), flush=True)


def raises(kind, action, **expected):
    """The exception of `kind` that `action` must end with, its attributes as expected."""
    try:
        action()
    except kind as error:
        for name, value in expected.items():
            wanted = value if isinstance(value, (list, tuple)) else [value]
            assert getattr(error, name) in wanted, f"{name} is {getattr(error, name)!r}: {error!r}"
        return error
    except Exception as error:
        raise AssertionError(f"not a {kind.__name__}: {error!r}") from error
    raise AssertionError(f"no {kind.__name__}")
