"""Table of paper 1 on each data set: claimed beside measured, inside and on other sources.

Every installed model, and every model in the folders given with --models, is evaluated on the test
part of its own split and on all images of sources that it was not trained on. Intervals are 95 %
bootstrap over groups; differences are paired: both models see the same resampled groups. Rows
without a model are named under `missing`.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.classification_claims import DATA_SETS, LITERATURE, METHODS, PAPER, method_of
from benchmarks.report import arguments, write_result
from medseal import weights
from medseal.classification.evaluation import Evaluation, examine
from medseal.classification.outcome import Outcome, as_numbers, score
from medseal.classification.robustness import sample, site_rows
from medseal.errors import ConfigurationError, InputError
from medseal.metrics.calibration import expected_calibration_error
from medseal.metrics.paired import delong, mcnemar, paired_differences
from medseal.weights import Card

RESAMPLES = 10_000
QUICK_RESAMPLES = 500
SITE_IMAGES = 100
SIMULATIONS = 1000
_BASELINE = "linear-svm"
_DIFFERENCES = ("accuracy", "balanced_accuracy", "auroc", "brier")
_BINARY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model to measure.

    Attributes
    ----------
    card
        Of the model.
    place
        Its id if it is installed, else its folder.
    """

    card: Card
    place: str | Path

    @property
    def data_set(self) -> str:
        """Data set of training, as far as the table goes."""
        name = str(self.card.training.get("dataset"))
        # Trained against eyes of all other diseases, tested against healthy ones.
        return "fundus-dr" if name.startswith("fundus-dr") else name

    @property
    def method(self) -> str | None:
        """Row of the table."""
        return method_of(self.card.method)


def models_in(folders: Sequence[Path]) -> list[Model]:
    """Return the installed models, and those in folders at any depth; a folder's own comes first.

    Raises
    ------
    WeightsError
        A card is malformed.
    """
    found: dict[str, Model] = {}
    for folder in folders:
        for path in sorted(folder.rglob("card.toml")):
            card = weights.read_card(path.parent)
            if card.classes:
                found.setdefault(card.id, Model(card=card, place=path.parent))
    for card in weights.models():
        if card.classes:
            found.setdefault(card.id, Model(card=card, place=card.id))
    return [found[name] for name in sorted(found)]


def measure(model: Model, data: Path, *, site_images: int = 0) -> tuple[Evaluation, dict[str, Any]]:
    """Return what a model says on its held-out images, and its figures.

    On `site_images` of them also what it says at simulated other sites.

    Raises
    ------
    ConfigurationError
        The data hold images of training sources that cannot be told from those of training.
    """
    start = time.perf_counter()
    found = examine(model.place, data, split="test", data_set=model.data_set)
    seconds = time.perf_counter() - start
    if found.known.split is None:
        raise ConfigurationError(
            f"{data} is not the data that {model.card.id} was trained on: its test part may hold "
            "training images"
        )
    external = found.is_external
    row: dict[str, Any] = {
        "method": model.method or model.card.method,
        "sha256": str(model.card.sha256),
        "split_digest": str(found.known.split.digest),
        "sources_of_training": sorted(found.known.sources),
        "seconds_of_evaluation": round(seconds, 1),
        **training_facts(model),
    }
    if not external.all():
        row["inside"] = _scored(found.outcome.part(~external), model)
    if external.any():
        row["other_sources"] = _scored(found.outcome.part(external), model)
        copies = None if found.copies is None else int(found.copies.sum())
        row["other_sources"]["near_duplicates_of_training"] = copies
    if site_images:
        chosen = sample(found.records, count=site_images, generator=np.random.default_rng(1))
        row["simulated_sites"] = {
            "images": len(chosen),
            "sites": site_rows(found.classifier, found.data, chosen),
        }
    claimed = PAPER.get(model.method or "")
    if claimed is not None:
        row["paper_1"] = dict(claimed)
    return found, row


def _scored(outcome: Outcome, model: Model) -> dict[str, Any]:
    expected = error_if_calibrated(outcome.probabilities, generator=np.random.default_rng(1))
    return {
        **score(outcome, classes=model.card.classes),
        "calibration_error_expected_if_calibrated": expected,
    }


def error_if_calibrated(
    probabilities: NDArray[np.float64], *, generator: np.random.Generator
) -> dict[str, float]:
    """Return the calibration error that these probabilities would show if they were all true.

    The binned error is never 0 on few images, even of a model without fault: labels are drawn from
    the probabilities, image by image. A measured error up to `high` is no evidence against the
    model's calibration.

    Parameters
    ----------
    probabilities
        (n, classes), rows adding up to 1.
    generator
        Draws the labels.

    Returns
    -------
    dict
        Mean of the drawn errors under ``estimate``; ``low`` and ``high`` hold 95 % of them.

    References
    ----------
    Consistency resampling: Broecker and Smith 2007, doi:10.1175/WAF993.1.
    """
    rising = probabilities.cumsum(axis=1)[:, :-1]
    errors = []
    for _ in range(SIMULATIONS):
        drawn = generator.random((len(rising), 1))
        labels = (drawn > rising).sum(axis=1)
        errors.append(expected_calibration_error(labels, probabilities))
    low, high = np.quantile(errors, (0.025, 0.975))
    return {"estimate": float(np.mean(errors)), "low": float(low), "high": float(high)}


def training_facts(model: Model) -> dict[str, Any]:
    """Return images, epochs and hours of training, as card and log of the run state them."""
    training = model.card.training
    facts = {
        name: training[name]
        for name in ("train_images", "epochs", "best_epoch")
        if name in training
    }
    seconds = training.get("seconds")
    if not isinstance(seconds, int | float):
        seconds = _seconds_in_log(model.place)
    facts["training_hours"] = "not recorded" if seconds is None else round(seconds / 3600, 3)
    return facts


def _seconds_in_log(place: str | Path) -> float | None:
    """Return the sum of the epochs' seconds in the log of the run beside a model folder."""
    if isinstance(place, str):
        return None
    log = place.parent / f"{place.name}.run" / "log.jsonl"
    if not log.is_file():
        return None
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    return sum(float(row["seconds"]) for row in rows) if rows else None


def difference(first: Evaluation, second: Evaluation, *, resamples: int) -> dict[str, Any]:
    """Return first minus second on the images inside both models' test parts.

    Raises
    ------
    ConfigurationError
        The models were not tested on the same images.
    """
    one, other = _inside(first), _inside(second)
    if _names(first) != _names(second) or not np.array_equal(one.labels, other.labels):
        raise ConfigurationError("the two models were not tested on the same images")
    found = paired_differences(
        one.labels,
        (one.probabilities, one.predicted),
        (other.probabilities, other.predicted),
        groups=one.groups,
        generator=np.random.default_rng(1),
        resamples=resamples,
    )
    result: dict[str, Any] = {name: as_numbers(found[name]) for name in _DIFFERENCES}
    if one.probabilities.shape[1] == _BINARY:
        test = delong(one.labels, one.probabilities[:, 1], other.probabilities[:, 1])
        result["delong_auroc_p"] = test.p_value
    result["mcnemar"] = asdict(mcnemar(_right(one), _right(other)))
    return result


def _right(outcome: Outcome) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = outcome.predicted == outcome.labels
    return right


def _inside(evaluation: Evaluation) -> Outcome:
    return evaluation.outcome.part(~evaluation.is_external)


def _names(evaluation: Evaluation) -> list[str]:
    external = evaluation.is_external
    return [r.path for r, out in zip(evaluation.records, external, strict=True) if not out]


def differences(
    measured: Mapping[str, Evaluation], methods: Mapping[str, str], *, resamples: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each model minus the SVM, and each ensemble minus each other model.

    Pairs that were not tested on the same images, since their splits differ, are left out.
    """
    for first, mine in measured.items():
        for second, other in measured.items():
            wanted = methods[second] == _BASELINE or methods[first] == "ensemble"
            if first == second or not wanted or methods[first] == _BASELINE:
                continue
            if _names(mine) and _names(mine) == _names(other):
                found = difference(mine, other, resamples=resamples)
                yield f"{first} minus {second}", found


def table(
    name: str,
    models: Sequence[Model],
    data: Path,
    *,
    resamples: int,
    site_images: int = 0,
    stored: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the rows of one data set: measured, compared, published and missing.

    What is stored of other models of the data set stays, and so do the figures at simulated sites
    of the same weights where `site_images` is 0.
    """
    measured: dict[str, Evaluation] = {}
    rows: dict[str, Any] = dict(stored.get("models", {}))
    for model in models:
        sys.stderr.write(f"  {name}: {model.card.id}\n")
        earlier = rows.get(model.card.id, {})
        measured[model.card.id], row = measure(model, data, site_images=site_images)
        if not site_images and earlier.get("sha256") == row["sha256"]:
            row |= {key: earlier[key] for key in ("simulated_sites",) if key in earlier}
        rows[model.card.id] = row
    methods = {model.card.id: model.method or model.card.method for model in models}
    present = {row["method"] for row in rows.values()}
    found = dict(differences(measured, methods, resamples=resamples))
    result: dict[str, Any] = {
        "models": {key: rows[key] for key in sorted(rows)},
        "missing": [method for method in METHODS if method not in present],
        "differences": {**stored.get("differences", {}), **found},
    }
    if name in LITERATURE:
        result["published"] = {key: dict(row) for key, row in LITERATURE[name].items()}
    return result


def _stored(folder: Path) -> dict[str, Any]:
    """Return the data sets of the result in a folder; empty if there is none."""
    path = folder / "classification.json"
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text())["result"]["data_sets"]
    return found


def main(argv: Sequence[str]) -> int:
    """Run the measurement; return the exit code."""
    parser = arguments("All classifiers on the images held out from their training.")
    parser.add_argument("--models", type=Path, nargs="*", default=[], help="folders with models")
    parser.add_argument(
        "--data-sets",
        nargs="*",
        choices=DATA_SETS,
        default=DATA_SETS,
        help="only these; what is stored of the others stays",
    )
    parser.add_argument(
        "--only",
        nargs="*",
        default=[],
        metavar="ID",
        help="only these models; what is stored of the others stays",
    )
    parser.add_argument(
        "--site-images",
        type=int,
        default=SITE_IMAGES,
        help="for the simulated sites; 0: none, but with --only what is stored of the same weights",
    )
    chosen = parser.parse_args(argv)
    if chosen.data is None:
        parser.error("--data is needed: the folder with MANIFEST.csv")
    torch.set_num_threads(1)
    models = models_in(chosen.models)
    known = {model.card.id for model in models}
    if not known.issuperset(chosen.only):
        parser.error(f"no model {sorted(set(chosen.only) - known)[0]}; see --models")
    whole = set(chosen.data_sets) == set(DATA_SETS) and not chosen.only
    stored = {} if whole else _stored(chosen.output)
    result: dict[str, Any] = {
        "part": "test",
        "interval": "95 % bootstrap by group",
        "data_sets": dict(stored),
    }
    for name in chosen.data_sets:
        mine = [model for model in models if model.data_set == name]
        if chosen.only:
            mine = [model for model in mine if model.card.id in chosen.only]
            if not mine:
                continue
        try:
            result["data_sets"][name] = table(
                name,
                mine,
                chosen.data,
                resamples=QUICK_RESAMPLES if chosen.quick else RESAMPLES,
                site_images=0 if chosen.quick else chosen.site_images,
                stored=stored.get(name, {}) if chosen.only else {},
            )
        except InputError as error:
            result["data_sets"][name] = {"not measured": str(error)}
    write_result("classification", result, chosen, sys_stdout=sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
