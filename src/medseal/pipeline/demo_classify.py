"""Classify the slices of a demo, with heat maps; the only step that loads a network."""

from medseal.classification import Classifier, load
from medseal.errors import AccessRefusedError, InputError, ModelMismatchError
from medseal.imaging import read
from medseal.pipeline.classify import ResultFiles, classify_image, default_model
from medseal.pipeline.demo_record import Classified, Run, Sealed
from medseal.pipeline.ledger import log_key_file, verify_receipt_file

__all__ = ["classify_slices"]

# Heat maps in the report; each costs another pass through the network.
MAX_EXPLAINED = 12
_TOLERANCE = 1e-6


def classify_slices(run: Run) -> str:
    """Classify every slice under its grant, draw heat maps, check that each result is receipted.

    Raises
    ------
    InputError
        No slice was sealed, or no default model takes it.
    """
    run.folders.explanations.mkdir()
    slices = run.of_kind("slice")
    if not slices:
        raise InputError("no slice was sealed, so there is nothing to classify")
    classifier = load(default_model(read(slices[0].source.file)))
    _refused(run, slices[0], classifier)
    for number, item in enumerate(slices):
        try:
            run.classified.append(_classified(run, item, classifier, number < MAX_EXPLAINED))
        except ModelMismatchError as error:
            run.notes.append(f"{item.source.name}: not classified, {error}.")
    card = classifier.card
    run.facts |= {"model": card.id, "model digest": str(card.sha256), "model limits": card.limits}
    unsure = sum(item.abstained for item in run.classified)
    return f"{len(run.classified)} slices by {card.id}, {unsure} abstentions"


def _refused(run: Run, item: Sealed, classifier: Classifier) -> None:
    name = "Dr. Stranger"
    try:
        classify_image(run.workspace, item.image_id or "", classifier=classifier, name=name)
        found = "classified"
    except AccessRefusedError as error:
        found = f"refused ({error.reason})"
    expected = "refused (no-grant)"
    run.expect(
        "classify",
        f"{name} classifies without a grant",
        expected=expected,
        found=found,
        held=found == expected,
    )


def _classified(run: Run, item: Sealed, classifier: Classifier, explained: bool) -> Classified:
    path = None
    if explained and classifier.network is not None:
        path = run.folders.explanations / f"{item.image_id}.png"
    with run.timed("classify"):
        outcome = classify_image(
            run.workspace,
            item.image_id or "",
            classifier=classifier,
            files=ResultFiles(explanation=path),
        )
    prediction = outcome.prediction
    total = sum(prediction.probabilities.values())
    kind = "no receipt"
    if outcome.receipt is not None:
        proved = verify_receipt_file(outcome.receipt, log_key_file(run.folders.workspace))
        kind = str(proved["kind"])
    run.expect(
        "classify",
        f"{item.source.name}: probabilities that add up, bound by a receipt",
        expected="sum 1.000, classify",
        found=f"sum {total:.3f}, {kind}",
        held=abs(total - 1) < _TOLERANCE and kind == "classify",
    )
    return Classified(
        sealed=item,
        label=prediction.label,
        probabilities=prediction.probabilities,
        abstained=prediction.abstained,
        overlay=path,
    )
