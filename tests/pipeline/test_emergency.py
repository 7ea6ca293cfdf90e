"""The review of emergencies."""

from pathlib import Path

from medseal.ledger import now_ms
from medseal.ledger.rules import BREAK_GLASS_WINDOW_MS
from medseal.pipeline.access import break_glass, revoke
from medseal.pipeline.emergency import review
from medseal.pipeline.erase import erase
from medseal.pipeline.open import open_image
from medseal.pipeline.roles import change_role
from medseal.pipeline.seal import seal
from medseal.pipeline.workspace import Workspace


def test_each_window_is_told_with_its_uses(
    workspace: Workspace, ct_file: Path, mr_file: Path, tmp_path: Path
) -> None:
    first, second = (outcome.image_id or "" for outcome in seal(workspace, [ct_file, mr_file]))
    assert review(workspace) == []
    for name, role in (("ann", "radiologist"), ("eve", "emergency")):
        change_role(workspace, name, role, add=True)
    break_glass(workspace, "ann", first, reason="unconscious")
    break_glass(workspace, "eve", second, reason="trauma")
    open_image(workspace, first, tmp_path / "a.dcm", name="ann")
    open_image(workspace, first, tmp_path / "a.dcm", name="ann")
    open_image(workspace, first, tmp_path / "o.dcm")
    ann, eve = review(workspace, reason="trauma")
    assert (ann.name, ann.roles, ann.image_id) == ("ann", ("radiologist",), first)
    assert (ann.is_open, ann.is_reason) == (True, False)
    assert (eve.name, eve.is_open, eve.is_reason, eve.uses) == ("eve", True, True, ())
    assert ann.until_ms - ann.opened_ms == BREAK_GLASS_WINDOW_MS
    assert ann.opened_ms <= now_ms()
    uses = [event for index, event in workspace.ledger.events() if index in ann.uses]
    assert [event.actor for event in uses] == [ann.account] * 2
    revoke(workspace, "ann", first, None)
    erase(workspace, second)
    assert [each.is_open for each in review(workspace)] == [False, False]
    assert review(workspace)[1].image_id is None
    break_glass(workspace, "ann", first, reason="again")
    assert [each.is_open for each in review(workspace)] == [False, False, True]
