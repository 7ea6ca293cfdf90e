"""The Dockerfile, as text: no image is built where these tests run."""

import re
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deploy" / "Dockerfile").read_text()
JOINED = TEXT.replace("\\\n", " ")
LINES = [line for line in JOINED.splitlines() if line and not line.startswith("#")]
IGNORED = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()


def instructions(name: str) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in LINES if line.split()[0] == name]


def test_every_base_image_has_an_exact_tag() -> None:
    bases = instructions("FROM")
    assert len(bases) == 2
    for base in bases:
        assert re.match(r"python:3\.\d+\.\d+-slim-[a-z]+(?: AS build)?$", base)


def test_the_image_does_not_run_as_root() -> None:
    user = instructions("USER")[-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    last = [line.split()[0] for line in LINES]
    assert last.index("USER") > len(last) - 1 - last[::-1].index("RUN")


def test_only_what_is_built_from_gets_into_a_layer() -> None:
    assert "*" in IGNORED
    allowed = {line[1:] for line in IGNORED if line.startswith("!")}
    assert allowed == {"LICENSE", "README.md", "constraints.txt", "pyproject.toml", "src"}
    copied = [source for line in instructions("COPY") for source in line.split()[:-1]]
    assert {name.removeprefix("./") for name in copied if not name.startswith("--")} == {
        *allowed,
        "/opt/medseal",
    }
    assert all((ROOT / name).exists() for name in allowed)


def test_no_secret_is_built_in() -> None:
    assert not instructions("ARG")
    assert not instructions("ADD")
    assert not re.search(r"passphrase|secret|token|key\b", " ".join(instructions("ENV")), re.I)


def test_the_installation_is_that_of_the_constraints_with_the_network() -> None:
    install = next(line for line in instructions("RUN") if "pip install" in line)
    assert "--constraint constraints.txt" in install
    assert "'.[network]'" in install
    assert instructions("ENTRYPOINT") == ['["medseal"]']


def test_the_image_is_named_by_the_version_that_it_holds() -> None:
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    assert re.findall(r"image: (medseal:\S+)", compose) == [f"medseal:{version('medseal')}"]
    assert f"medseal:{version('medseal')}" in TEXT
