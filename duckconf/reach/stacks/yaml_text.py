"""Writes YAML that all readers take for the same: what one of them would read as a number or a switch stands in quotes."""

from __future__ import annotations

from typing import Any

import yaml

from duckconf.compose_file.tree import scalar


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Items of a list stand under their key."""
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = '"' if scalar(value) != value or not value.isprintable() else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)


def _nothing(dumper: yaml.SafeDumper, _: None) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:null", "null")


_Dumper.add_representer(str, _text)
_Dumper.add_representer(type(None), _nothing)


def yaml_text(*documents: Any) -> str:
    written = [
        yaml.dump(one, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=130, default_flow_style=False)
        for one in documents
    ]
    return "---\n".join(written)
