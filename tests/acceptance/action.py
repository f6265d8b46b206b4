"""action.yml's steps, run as GitHub's runner runs them.

Every `run` of the action is run by bash, as it stands there, with its variables resolved from the inputs. Not run are
actions/setup-python, and of the installation `python3 -m venv` and pip: a stand-in for python3 makes a folder that
looks like the environment, with the `campaign` under test in it.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.acceptance.command import EXECUTABLE, SECONDS

ROOT = Path(__file__).parents[2]
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")  # what `shell: bash` stands for
PYTHON = f"""#!/bin/sh
[ "$1 $2" = "-m venv" ] || exit 9
mkdir -p "$3/bin"
ln -s '{EXECUTABLE}' "$3/bin/campaign"
printf '#!/bin/sh\\nprintf "%%s\\\\n" "$@" > "$RUNNER_TEMP/installed"\\n' > "$3/bin/python"
chmod +x "$3/bin/python"
"""


def action() -> dict[str, Any]:
    """The action's definition."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    return found


@dataclass(frozen=True, kw_only=True)
class Step:
    """How the action ended: what the log shows, and what it left for the workflow."""

    code: int
    out: str
    err: str
    summary: str
    outputs: dict[str, str]

    @property
    def annotations(self) -> list[str]:
        """The workflow commands on standard error and standard output."""
        return [line for line in (self.err + self.out).splitlines() if line.startswith("::")]


@dataclass(kw_only=True)
class Runner:
    """A machine with a checked-out repository in `workspace`, and these variables in the step that uses the action."""

    workspace: Path
    temp: Path
    environ: dict[str, str] = field(default_factory=dict)

    def __call__(self, **inputs: str) -> Step:
        """Runs the action's steps in order, to the first that fails. `_` in an input's name stands for `-`."""
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        defined = action()
        assert not set(given) - set(defined["inputs"])
        values = {name: given.get(name, spec.get("default", "")) for name, spec in defined["inputs"].items()}
        self._prepare()
        for step in defined["runs"]["steps"]:
            if "run" in step:
                done = self._run(step, values)
                if done.returncode:
                    break
        summary, output = (self.temp / name for name in ("summary", "output"))
        return Step(
            code=done.returncode,
            out=done.stdout,
            err=done.stderr,
            summary=summary.read_text("utf-8"),
            outputs=dict(line.split("=", 1) for line in output.read_text("utf-8").splitlines()),
        )

    def _prepare(self) -> None:
        stand_in = self.temp / "bin" / "python3"
        stand_in.parent.mkdir(parents=True)
        stand_in.write_text(PYTHON, "utf-8")
        stand_in.chmod(0o755)
        for name in ("summary", "output", "path"):
            (self.temp / name).touch()

    def _run(self, step: Mapping[str, Any], inputs: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
        assert step["shell"] == "bash"
        script = self.temp / "step.sh"
        script.write_text(resolved(step["run"], inputs), "utf-8")
        added = (self.temp / "path").read_text("utf-8").splitlines()
        return subprocess.run(
            [*BASH, script],
            cwd=self.workspace,
            env={
                "PATH": os.pathsep.join([*added, str(self.temp / "bin"), "/usr/bin", "/bin"]),
                "HOME": str(self.temp),
                "CI": "true",
                "GITHUB_ACTIONS": "true",
                "GITHUB_WORKSPACE": str(self.workspace),
                "GITHUB_STEP_SUMMARY": str(self.temp / "summary"),
                "GITHUB_OUTPUT": str(self.temp / "output"),
                "GITHUB_PATH": str(self.temp / "path"),
                "RUNNER_TEMP": str(self.temp / "runner temp"),
                **self.environ,
                **{name: resolved(text, inputs) for name, text in step["env"].items()},
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


def resolved(text: str, inputs: Mapping[str, str]) -> str:
    """The text with its expressions put in; of GitHub's language the two kinds that the action uses."""

    def value(found: re.Match[str]) -> str:
        expression = found[1].strip()
        if expression == "github.action_path":
            return str(ROOT)
        return inputs[expression.removeprefix("inputs.")]

    return re.sub(r"\$\{\{(.*?)\}\}", value, text)
