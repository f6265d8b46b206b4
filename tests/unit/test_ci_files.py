"""The action, the workflow to copy and the pre-commit hook: what they promise without being run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.test_architecture import ROOT, check_call

ACTION = ROOT / "action.yml"
EXAMPLE = ROOT / "docs" / "examples" / "campaigns.yml"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def steps(path: Path) -> Iterator[dict[str, Any]]:
    document = read(path)
    for job in [document["runs"]] if "runs" in document else document["jobs"].values():
        yield from job["steps"]


@pytest.mark.parametrize("path", [ACTION, EXAMPLE], ids=lambda path: path.name)
def test_no_expression_stands_in_a_script(path: Path) -> None:
    scripts = [step["run"] for step in steps(path) if "run" in step]

    assert scripts
    assert [script for script in scripts if "${{" in script] == []


def test_the_action_takes_no_token_and_hands_none_to_what_installs_it() -> None:
    assert [name for name in read(ACTION)["inputs"] if "token" in name] == []
    [install] = [step for step in steps(ACTION) if "pip install" in step.get("run", "")]
    assert install["env"]["INRO_API_TOKEN"] == ""


def test_the_example_gives_the_action_inputs_that_it_has_and_reads_outputs_that_it_sets() -> None:
    action = read(ACTION)
    used = [step for step in steps(EXAMPLE) if step.get("uses", "").startswith("OWNER/campaign@")]

    assert [step["with"].get("command", "check") for step in used] == ["check", "send"]
    for step in used:
        assert set(step["with"]) <= set(action["inputs"])
    for name in ("state", "accepted"):
        assert name in action["outputs"]
        assert f"steps.send.outputs.{name}" in EXAMPLE.read_text("utf-8")


def test_every_output_comes_from_the_step_that_runs_the_command() -> None:
    for name, spec in read(ACTION)["outputs"].items():
        assert spec["value"] == f"${{{{ steps.campaign.outputs.{name} }}}}"


def test_the_pre_commit_hook_is_a_call_that_can_be_made() -> None:
    [hook] = read(ROOT / ".pre-commit-hooks.yaml")

    assert (hook["id"], hook["language"]) == ("campaign-check", "python")
    check_call(hook["entry"], ".pre-commit-hooks.yaml")


@pytest.mark.parametrize("path", [ROOT / "docs" / "ci.md"], ids=lambda path: path.name)
def test_the_document_names_every_input_and_output(path: Path) -> None:
    action, text = read(ACTION), path.read_text("utf-8")

    assert [name for name in [*action["inputs"], *action["outputs"]] if f"`{name}`" not in text] == []
