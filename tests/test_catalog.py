"""The catalog finds components by looking; nothing is registered."""

import subprocess
import sys
from types import ModuleType

import pytest

from pydatastream.catalog import Catalog, _loaded, catalog, components_in
from pydatastream.core.errors import ConfigError
from pydatastream.core.operator import Operator, RowOperator
from pydatastream.core.sink import Sink
from pydatastream.core.source import Source

CLIENTS = ("confluent_kafka", "redis", "zmq", "pymongo", "paramiko", "sqlalchemy", "boto3", "numpy",
           "pyarrow", "duckdb", "pyspark", "fastapi", "streamlit")  # fmt: skip


class Shiny(RowOperator):
    pass


class ShinySource(Source):
    pass


def module(**members):
    found = ModuleType("somewhere")
    for name, value in members.items():
        setattr(found, name, value)
    return found


def own(name, *bases):
    return type(name, bases, {"__module__": "somewhere"})


def test_only_a_modules_own_classes_count():
    mine, private = own("Mine", Operator), own("_Private", Operator)
    found = components_in(module(A=mine, B=Shiny, C=private, D=Operator, E=3, F=int))
    assert list(found) == [mine]


def test_finds_by_kind_and_name_and_names_the_nearest():
    found = Catalog.of([Shiny, ShinySource])
    assert found.find("operator", "shiny") is Shiny
    assert found.find("source", "shiny") is ShinySource
    assert found.names("operator") == ["shiny"]
    assert found.all("sink") == []
    with pytest.raises(ConfigError) as caught:
        found.find("operator", "shinny")
    assert caught.value.hint == "did you mean 'shiny'?"


def test_two_of_one_name_are_refused_naming_both():
    with pytest.raises(ConfigError, match=r"two operators .*'shiny': .*Shiny and somewhere\.Shiny"):
        Catalog.of([Shiny, own("Shiny", Operator)])


def test_names_are_sorted_and_kinds_are_right():
    found = catalog()
    for kind, base in (("source", Source), ("sink", Sink), ("operator", Operator)):
        assert found.names(kind) == sorted(found.names(kind))
        assert all(issubclass(one, base) for one in found.all(kind))
    assert found.has("operator", "filter")
    assert catalog() is found


def test_an_installed_package_adds_components(tmp_path):
    (tmp_path / "extra_steps.py").write_text(
        "from pydatastream.core.operator import RowOperator\nclass Polish(RowOperator): pass\n"
    )
    info = tmp_path / "extra-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[pydatastream.components]\nextra = extra_steps\n")
    code = "from pydatastream.catalog import catalog; print(catalog().find('operator', 'polish'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path)}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert "extra_steps.Polish" in done.stdout


def test_a_broken_package_is_named():
    from importlib.metadata import EntryPoint

    with pytest.raises(ConfigError, match="'no_such_module' cannot be loaded"):
        _loaded(EntryPoint("x", "no_such_module", "pydatastream.components"))


def test_scanning_loads_no_client_library_and_importing_loads_nothing():
    code = (
        "import sys, pydatastream\n"
        "assert 'polars' not in sys.modules and 'pydantic' not in sys.modules\n"
        "assert pydatastream.__version__ and 'Pipeline' in dir(pydatastream)\n"
        "pydatastream.Pipeline\n"
        "from pydatastream.catalog import catalog; catalog()\n"
        f"print([name for name in {CLIENTS} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
