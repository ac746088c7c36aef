"""Schemas of Terraform providers, read from the CDK's bindings for Node, which are generated from the schemas.

Declarations (`index.d.ts`) say what may be set: every property links to its argument, and says whether it is a block.
The code (`index.js`) says what is computed, which lists are sets, and which blocks come once only.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

Type: TypeAlias = Any
"""A type as Terraform writes it in JSON: "string", ["list", "string"], ["object", {"name": "string"}], ..."""
Nesting = Literal["single", "list", "set"]


class Attribute(NamedTuple):
    """One attribute of a block."""

    type: Type
    required: bool = False
    optional: bool = False
    computed: bool = False


class Nested(NamedTuple):
    """A kind of block within a block."""

    block: Block
    nesting: Nesting
    required: bool
    once: bool


class Block(NamedTuple):
    """What a block knows."""

    attributes: dict[str, Attribute]
    blocks: dict[str, Nested]

    @property
    def object(self) -> Type:
        """The type of its values."""
        fields: dict[str, Type] = {name: attribute.type for name, attribute in self.attributes.items()}
        for name, nested in self.blocks.items():
            inner = nested.block.object
            fields[name] = inner if nested.nesting == "single" else [nested.nesting, inner]
        return ["object", fields]


class Schema(NamedTuple):
    """What a provider knows of the types that were asked for; a type that it doesn't know is left out."""

    provider: Block
    resources: dict[str, Block]
    data: dict[str, Block]


class Bindings(NamedTuple):
    """Declarations and code of one module."""

    declarations: str
    code: str


_RESOURCE = re.compile(r'^\s*(resource|data)\s+"(\w+)"', re.MULTILINE)


def used(texts: Iterable[str], provider: str) -> tuple[set[str], set[str]]:
    """Types of resources and of data sources that configurations name, of a provider."""
    found = {match.groups() for text in texts for match in _RESOURCE.finditer(text)}
    resources, data = (
        {name for kind, name in found if kind == wanted and name.startswith(f"{provider}_")}
        for wanted in ("resource", "data")
    )
    return resources, data


def read(
    package: Path,
    provider: str,
    resources: Iterable[str],
    data: Iterable[str],
    opaque: Mapping[str, Block] = MappingProxyType({}),
) -> Schema:
    """The provider's own schema, and those of resources and data sources by type.

    Blocks that nest in themselves are left out of the bindings: `opaque` has what is in them, by name.
    """
    folders = {"provider", *(_folder(name, provider) for name in resources)}
    folders |= {_data_folder(name, provider) for name in data}
    blocks = {folder: _Module(module, opaque) for folder, module in _modules(package, folders).items()}
    return Schema(
        provider=blocks["provider"].provider(),
        resources={name: blocks[folder].main() for name in resources if (folder := _folder(name, provider)) in blocks},
        data={name: blocks[folder].main() for name in data if (folder := _data_folder(name, provider)) in blocks},
    )


def _folder(name: str, provider: str) -> str:
    return name.removeprefix(f"{provider}_").replace("_", "-")


def _data_folder(name: str, provider: str) -> str:
    return f"data-{provider}-{_folder(name, provider)}"


def _modules(package: Path, folders: Iterable[str]) -> dict[str, Bindings]:
    wanted = {f"package/lib/{folder}/index{end}": folder for folder in folders for end in (".d.ts", ".js")}
    declarations: dict[str, str] = {}
    code: dict[str, str] = {}
    # A stream: going back in a compressed file would mean to begin anew.
    with tarfile.open(package, "r|gz") as files:
        for member in files:
            folder = wanted.get(member.name)
            content = files.extractfile(member) if folder is not None else None
            if folder is not None and content is not None:
                into = declarations if member.name.endswith(".ts") else code
                into[folder] = into.get(folder, "") + content.read().decode()
    return {folder: Bindings(declarations[folder], code[folder]) for folder in declarations}


class _Property(NamedTuple):
    """What may be set, as it is declared."""

    name: str
    type: str
    optional: bool
    block: bool


class _Output(NamedTuple):
    """What is there afterwards, as the code gets it: a type, or a class for objects."""

    type: Type = None
    of: str = ""
    set: bool = False


_INTERFACE = re.compile(r"^export interface (\w+)[^{]*\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_CONFIG = re.compile(r"^export interface (\w+) extends cdktf\.TerraformMetaArguments ", re.MULTILINE)
_PROPERTY = re.compile(
    r"/\*\*(?P<text>.*?)\*/\s*readonly (?P<property>\w+)(?P<optional>\??): (?P<type>(?:\{.*?\}|[^;{])+);", re.DOTALL
)
_LINK = re.compile(r"\{@link \S+#(\w+) ")
_CLASS = re.compile(r"^class (\w+) extends cdktf\.(\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_GETTER = re.compile(r"return (cdktf\.Fn\.tolist\()?this\.get(\w+?)Attribute\('(\w+)'\)")
_ANY = re.compile(r"this\.interpolationForAttribute\('(\w+)'\)")
_OBJECT = re.compile(r'= new (\w+)\(this, "(\w+)"(?:, (true|false))?\)')
_MAP = re.compile(r'= new cdktf\.(\w+?)Map\(this, "(\w+)"\)')
_PRIMITIVES = {"String": "string", "Number": "number", "Boolean": "bool"}


def _output_type(name: str, is_set: bool) -> Type:
    for suffix, kind in (("List", "set" if is_set else "list"), ("Map", "map")):
        if name == suffix:
            return [kind, "string"]
        if name.endswith(suffix):
            return [kind, _PRIMITIVES[name.removesuffix(suffix)]]
    return _PRIMITIVES[name]


class _Module:
    """One module of the bindings."""

    def __init__(self, bindings: Bindings, opaque: Mapping[str, Block]) -> None:
        self._opaque = opaque
        self._interfaces = {
            name: [
                _Property(link[1], " ".join(found["type"].split()), bool(found["optional"]), f"{link[1]} block" in text)
                for found in _PROPERTY.finditer(body)
                if (link := _LINK.search(text := found["text"]))
            ]
            for name, body in _INTERFACE.findall(bindings.declarations)
        }
        classes = _CLASS.findall(bindings.code)
        self._bodies = {name: body for name, _, body in classes}
        config = _CONFIG.search(bindings.declarations)
        self._config = config[1] if config else ""
        self._main = next(
            (name for name, base, _ in classes if base in {"TerraformResource", "TerraformDataSource"}), ""
        )

    def main(self) -> Block:
        """The resource's or data source's block."""
        return self._block(self._config, self._main)

    def provider(self) -> Block:
        """The provider's block. Terraform itself knows `alias`."""
        [name] = [name for name in self._interfaces if name.endswith("ProviderConfig")]
        block = self._block(name, "")
        block.attributes.pop("alias", None)
        return block

    def _block(self, interface: str, of: str) -> Block:
        block = Block({}, {})
        outputs = self._outputs(of)
        for name, declared, optional, is_block in self._interfaces.get(interface, []):
            output = outputs.pop(name, _Output())
            if is_block and declared == "any":
                block.blocks[name] = Nested(self._opaque[name], "list", not optional, once=True)
                continue
            inner = re.match(r"(\w+)(\[\])?", declared)
            if inner is None or inner[1] not in self._interfaces:
                block.attributes[name] = Attribute(
                    output.type or _declared_type(declared), not optional, optional, optional
                )
                continue
            many = bool(inner[2])
            nested = self._block(inner[1], f"{inner[1]}OutputReference")
            if is_block:
                block.blocks[name] = Nested(nested, self._nesting(inner[1], many, output), not optional, not many)
            else:
                nesting = self._nesting(inner[1], many, output)
                kind = nested.object if nesting == "single" else [nesting, nested.object]
                block.attributes[name] = Attribute(kind, not optional, optional, optional)
        for name, output in outputs.items():
            block.attributes[name] = Attribute(self._computed(output), computed=True)
        return block

    def _nesting(self, interface: str, many: bool, output: _Output) -> Nesting:
        if many:
            return "set" if output.set else "list"
        body = self._bodies.get(f"{interface}OutputReference", "")
        once = "super(terraformResource, terraformAttribute, false);" in body
        return "single" if once else "list"

    def _computed(self, output: _Output) -> Type:
        if not output.of:
            return output.type
        many = output.of.endswith("List")
        name = output.of.removesuffix("List").removesuffix("OutputReference")
        inner = self._block(name, f"{name}OutputReference").object
        nesting = self._nesting(name, many, output)
        return inner if nesting == "single" else [nesting, inner]

    def _outputs(self, of: str) -> dict[str, _Output]:
        body = self._bodies.get(of, "")
        found = {name: _Output(_output_type(kind, bool(is_set))) for is_set, kind, name in _GETTER.findall(body)}
        found |= {name: _Output("dynamic") for name in _ANY.findall(body) if name not in found}
        found |= {name: _Output(["map", _PRIMITIVES[kind]]) for kind, name in _MAP.findall(body)}
        found |= {name: _Output(None, kind, is_set == "true") for kind, name, is_set in _OBJECT.findall(body)}
        return found


def _declared_type(text: str) -> Type:
    kinds: Mapping[str, Type] = {
        "string": "string",
        "number": "number",
        "boolean | cdktf.IResolvable": "bool",
        "string[]": ["list", "string"],
        "number[]": ["list", "number"],
        "{ [key: string]: string; }": ["map", "string"],
    }
    return kinds.get(text, "dynamic")
