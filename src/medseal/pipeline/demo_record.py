"""What one run of the demo has seen: images, copies, verdicts, decisions, proofs, timings."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from medseal.pipeline.release import ReleaseOutcome
from medseal.pipeline.verify import VerifyReport
from medseal.pipeline.workspace import Workspace

__all__ = [
    "Attacked",
    "Classified",
    "Decision",
    "Expectation",
    "Folders",
    "Proof",
    "Released",
    "Run",
    "Sealed",
    "Source",
    "SourceKind",
]

SourceKind = Literal["dicom", "slice", "damaged", "to-erase"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where a demo writes.

    Attributes
    ----------
    output
        Everything stands below it.
    """

    output: Path

    @property
    def marker(self) -> Path:
        """File that tells a demo's folder from any other."""
        return self.output / ".medseal-demo"

    @property
    def workspace(self) -> Path:
        """The workspace."""
        return self.output / "workspace"

    @property
    def passphrase(self) -> Path:
        """Passphrase of the workspace, readable by its owner only."""
        return self.output / "passphrase.txt"

    @property
    def images(self) -> Path:
        """Generated images."""
        return self.output / "images"

    @property
    def releases(self) -> Path:
        """Released copies."""
        return self.output / "releases"

    @property
    def copies(self) -> Path:
        """What was made of the released copies."""
        return self.output / "copies"

    @property
    def opened(self) -> Path:
        """Opened originals; each is deleted once it was compared."""
        return self.output / "opened"

    @property
    def explanations(self) -> Path:
        """Heat maps."""
        return self.output / "explanations"

    @property
    def checkpoint(self) -> Path:
        """Head of the log after sealing, kept apart to audit against."""
        return self.output / "checkpoint.txt"

    @property
    def report(self) -> Path:
        """The report."""
        return self.output / "report.html"

    @property
    def picture(self) -> Path:
        """The strip of pictures."""
        return self.output / "picture.png"

    @property
    def made(self) -> tuple[Path, ...]:
        """All that a run writes beside the marker, and so what the next one replaces."""
        return (
            self.workspace,
            self.passphrase,
            self.images,
            self.releases,
            self.copies,
            self.opened,
            self.explanations,
            self.checkpoint,
            self.report,
            self.picture,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An image file that the demo seals.

    Attributes
    ----------
    file
        The file.
    name
        How the report calls it: a path relative to where it comes from.
    kind
        ``dicom`` for files of a PACS (volumes included), ``slice`` for what is classified,
        ``damaged`` for a file that must fail, ``to-erase``.
    label
        Known label, or None.
    """

    file: Path
    name: str
    kind: SourceKind
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What became of a source; `error` is one line without the folder, or None."""

    source: Source
    status: str
    image_id: str | None
    description: str
    error: str | None = None
    error_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A released copy, or why there is none."""

    sealed: Sealed
    outcome: ReleaseOutcome | None
    error: str | None = None

    @property
    def name(self) -> str:
        """Name of the image."""
        return self.sealed.source.name

    @property
    def file(self) -> Path:
        """The copy."""
        if self.outcome is None:
            raise ValueError("there is no copy")
        return self.outcome.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacked:
    """A copy after an attack, and what verification says about it.

    Attributes
    ----------
    name, detail
        The attack in a word and in a line.
    released
        The copy that was attacked; None for a picture that was never sealed.
    file
        The attacked copy.
    expected
        Verdicts that are right.
    is_forged
        Whether the content was changed with ill intent.
    report
        Of the verification.
    named
        The release that was found: ``right``, ``wrong`` or ``none``.
    covered
        Whether every changed value lies in a found region; None where nothing was forged.
    held
        Whether all that was expected is so.
    """

    name: str
    detail: str
    released: Released | None
    file: Path
    expected: tuple[str, ...]
    is_forged: bool
    report: VerifyReport
    named: str
    covered: bool | None
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision about access."""

    who: str
    what: str
    expected: str
    found: str
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Classified:
    """What the model said about a slice."""

    sealed: Sealed
    label: str
    probabilities: Mapping[str, float]
    abstained: bool
    overlay: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Something that must verify, or must be refused.

    Attributes
    ----------
    what
        In words.
    tried
        How often.
    expected, found
        Outcome, or names of errors with their counts.
    held
        Whether they agree.
    """

    what: str
    tried: int
    expected: str
    found: str
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One thing that the demo expects of the library."""

    step: str
    what: str
    expected: str
    found: str
    held: bool


@dataclass(slots=True, kw_only=True)
class Run:
    """The state that the steps of a demo share.

    Attributes
    ----------
    folders
        Where to write.
    data
        Folder of images, or None for those of pydicom and generated ones.
    started
        When.
    """

    folders: Folders
    data: Path | None
    started: datetime
    notes: list[str] = field(default_factory=list)
    facts: dict[str, str | int] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    sealed: list[Sealed] = field(default_factory=list)
    released: list[Released] = field(default_factory=list)
    attacked: list[Attacked] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    classified: list[Classified] = field(default_factory=list)
    proofs: list[Proof] = field(default_factory=list)
    expectations: list[Expectation] = field(default_factory=list)
    timings: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    steps: list[tuple[str, str, float]] = field(default_factory=list)
    _workspace: Workspace | None = None

    @property
    def workspace(self) -> Workspace:
        """The open workspace."""
        if self._workspace is None:
            raise ValueError("the workspace is not open")
        return self._workspace

    @workspace.setter
    def workspace(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def close(self) -> None:
        """Close the workspace, if it is open."""
        if self._workspace is not None:
            self._workspace.close()
            self._workspace = None

    @contextmanager
    def timed(self, verb: str) -> Iterator[None]:
        """Note the seconds that one image took."""
        start = time.perf_counter()
        yield
        self.timings[verb].append(time.perf_counter() - start)

    def expect(self, step: str, what: str, *, expected: str, found: str, held: bool) -> bool:
        """Note an expectation and whether it held; return that."""
        self.expectations.append(
            Expectation(step=step, what=what, expected=expected, found=found, held=held)
        )
        return held

    def of_kind(self, kind: SourceKind) -> list[Sealed]:
        """Return the sealed images of a kind, in order."""
        return [
            item
            for item in self.sealed
            if item.source.kind == kind and item.image_id is not None and item.status == "sealed"
        ]

    @property
    def copies(self) -> list[Released]:
        """The releases that were made."""
        return [item for item in self.released if item.outcome is not None]
