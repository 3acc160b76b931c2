import json
import os
import pathlib

import pytest

from orchestrator.simulator import schema
from tests import derive_datamodel

ROOT = pathlib.Path(__file__).parents[3]
FULL = ROOT.parent / "shared" / "xenapi" / "datamodel.json"


def test_the_committed_table_is_what_is_derived_from_the_full_data_model() -> None:
    """Nobody edits the table by hand."""
    if not FULL.exists():
        assert os.environ.get("CI") != "true", f"{FULL} is missing"
        pytest.skip(f"{FULL} is not there")
    derived = derive_datamodel.render(derive_datamodel.derive(json.loads(FULL.read_text())))
    assert (ROOT / "orchestrator/simulator/datamodel.json").read_text() == derived


def test_internal_fields_are_in_no_class() -> None:
    """What a real pool hides cannot be asked for: the data model does not have it."""
    classes = schema.load().classes
    assert (
        not {"physical_function", "virtual_functions", "functions", "attached_VMs", "scheduled_to_be_attached_to"}
        & classes["PCI"].fields.keys()
    )
    assert "reserved_pci" not in classes["VIF"].fields


def test_types_are_parsed_into_their_parts() -> None:
    """A map of refs to sets is a map, whose value is a set."""
    parsed = schema.parse_type("(VM ref -> string set) map")
    assert parsed == schema.Type("map", inner=(schema.Type("ref", "VM"), schema.Type("set", inner=(schema.Type("string", "string"),))))
    assert schema.parse_type("enum vm_operations set").inner == (schema.Type("enum", "vm_operations"),)


def test_defaults_are_values_of_their_field_s_type() -> None:
    """Every default of the model was understood: a row of nothing but defaults has the right Python types."""
    kinds = {"int": int, "float": float, "bool": bool, "set": list, "map": dict, "datetime": schema.Date}
    for cls in schema.load().classes.values():
        for field in cls.fields.values():
            assert type(field.default) is kinds.get(field.type.kind, str), f"{cls.name}.{field.name}"


def test_both_ends_of_a_relation_are_known() -> None:
    """VIF.VM is owned by the VIF, VM.VIFs is computed."""
    classes = schema.load().classes
    assert "VIFs" in classes["VM"].mirrors
    assert {relation.field for relation in classes["VIF"].relations} == {"VM", "network"}
