"""The shape of the program: what starts fast, who may use what, what is documented."""

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeGuard

import click
import pytest

from sender.cli.app import campaign

ROOT = Path(__file__).parents[2]
PRODUCT = ("campaigns", "sender")
MAX_LINES = 300
HEAVY = (
    "aiohttp",
    "apsw",
    "asyncio_throttle",
    "httpx2",
    "jinja2",
    "mcp",
    "numpy",
    "platformdirs",
    "prometheus_client",
    "pydantic",
    "structlog",
    "yaml",
    "zstandard",
)

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def files(*folders: str) -> list[str]:
    """The Python files of these folders of the repository, by their path in it."""
    return sorted(path.relative_to(ROOT).as_posix() for name in folders for path in (ROOT / name).rglob("*.py"))


@cache
def parsed(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text("utf-8"), file)


def imported(file: str) -> set[str]:
    """The modules that a file imports, anywhere in it, by their full names."""
    names: set[str] = set()
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def users(package: str) -> set[str]:
    """The product's files that import a package, or a part of it."""
    return {file for file in files(*PRODUCT) if any(f"{name}.".startswith(f"{package}.") for name in imported(file))}


def commands() -> dict[tuple[str, ...], click.Command]:
    """Every command by the words that call it, the group of all under no words."""
    found: dict[tuple[str, ...], click.Command] = {}

    def walk(words: tuple[str, ...], command: click.Command) -> None:
        found[words] = command
        if isinstance(command, click.Group):
            for name, below in command.commands.items():
                walk((*words, name), below)

    walk((), campaign)
    return found


def test_help_is_there_before_anything_heavy_is_imported() -> None:
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('MODULES', *sorted({name.partition('.')[0] for name in sys.modules})))\n"
        "sys.argv = ['campaign', '--help']\n"
        "from sender.cli import main\n"
        "main()\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    modules = done.stdout.rpartition("MODULES ")[2].split()
    assert "click" in modules
    assert [name for name in HEAVY if name in modules] == []


def test_one_file_knows_yaml() -> None:
    assert users("yaml") == {"campaigns/loading/campaignfile.py"}


def test_one_file_of_campaigns_reads_csv() -> None:
    calls = [
        file
        for file in files("campaigns")
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if (node.value.id, node.attr) in (("csv", "reader"), ("csv", "DictReader"))
    ]
    assert set(calls) == {"campaigns/audience/csvfile.py"}
    assert {file for file in users("csv") if file.startswith("campaigns/")} == {"campaigns/audience/csvfile.py"}


def test_only_the_ledger_knows_sqlite() -> None:
    assert users("apsw")
    assert [file for file in users("apsw") if not file.startswith("sender/ledger/")] == []
    assert users("sqlite3") == set()


def test_only_the_client_the_servers_and_the_notifier_know_aiohttp() -> None:
    outside = {file for file in users("aiohttp") if not file.startswith("sender/sandbox/")}
    # metrics.py is a server, notify.py posts to an address of the user's own: the token is the client's alone.
    assert outside == {"sender/inro/client.py", "sender/metrics.py", "sender/notify.py"}
    assert "require_token" not in (ROOT / "sender/notify.py").read_text("utf-8")


def test_only_the_metrics_know_prometheus_and_only_a_function_imports_them() -> None:
    assert users("prometheus_client") == {"sender/metrics.py"}
    at_the_top = {
        file
        for file in files(*PRODUCT)
        for node in parsed(file).body
        if isinstance(node, ast.ImportFrom) and node.module == "sender.metrics"
    }
    assert at_the_top == set()


def test_only_the_mcp_transport_and_the_mcp_server_know_the_sdk_of_mcp() -> None:
    homes = ("sender/inro/mcp", "sender/mcp/")
    packages = ("mcp", "mcp_types", "httpx2", "httpcore2")
    assert [file for name in packages for file in users(name) if not file.startswith(homes)] == []
    assert users("mcp") & set(files("sender/inro")) == {"sender/inro/mcp_session.py"}
    assert "sender/inro/mcp_wire.py" not in {file for name in packages for file in users(name)}


def test_only_the_choice_of_a_transport_loads_the_one_over_mcp() -> None:
    loaded = users("sender.inro.mcp") - set(files("sender/inro"))
    assert loaded == {"sender/transport.py"}
    tops = [node for node in parsed("sender/transport.py").body if isinstance(node, ast.ImportFrom)]
    assert [node.module for node in tops if "mcp" in str(node.module)] == []


def test_one_file_serves_agents_over_http() -> None:
    assert users("uvicorn") == users("starlette") == {"sender/mcp/http.py"}


def test_only_the_throttle_knows_asyncio_throttle() -> None:
    assert users("asyncio_throttle") == {"sender/throttle.py"}


def test_only_the_page_knows_its_templates() -> None:
    assert users("jinja2") == users("markupsafe") == {"sender/page/render.py"}


def test_campaigns_know_nothing_of_the_network_the_clock_or_the_sender() -> None:
    strangers = {"sender", "asyncio", "socket", "ssl", "urllib.request", "http", "aiohttp", "random"}
    assert {name: users(name) & set(files("campaigns")) for name in sorted(strangers)} == {
        name: set() for name in sorted(strangers)
    }


def test_only_the_settings_and_the_logs_read_our_variables() -> None:
    # A name in an error's text ends in more than the name; what is looked up is the whole string.
    readers = {
        file
        for file in files(*PRODUCT)
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if re.fullmatch(r"(INRO|CAMPAIGN)_[A-Z_]*[A-Z]", node.value)
    }
    assert readers == {"sender/settings.py", "sender/logs.py"}


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words) or "campaign")
def test_the_help_of_every_command_has_an_example_that_can_be_called(words: tuple[str, ...]) -> None:
    lines = (commands()[words].help or "").splitlines()
    examples = [line.strip() for line in lines if re.match(rf"\s*([A-Z_]+=\S+ )*campaign {' '.join(words)}", line)]

    assert examples
    for example in examples:
        check_call(example, "the help")


@pytest.mark.parametrize("file", files(*PRODUCT))
def test_a_file_holds_one_idea_and_so_no_more_than_300_lines(file: str) -> None:
    length = len((ROOT / file).read_text("utf-8").splitlines())
    assert length <= MAX_LINES


def is_protocol(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any(isinstance(b, ast.Name) and b.id == "Protocol" for b in node.bases)


@cache
def told_by_a_port() -> frozenset[str]:
    """The names of the methods that a Protocol describes: who implements them need not say it again."""
    protocols = [node for file in files(*PRODUCT) for node in ast.walk(parsed(file)) if is_protocol(node)]
    methods = [node for protocol in protocols for node in ast.iter_child_nodes(protocol)]
    return frozenset(node.name for node in methods if is_function(node) and ast.get_docstring(node))


def is_function(node: ast.AST) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def is_told_of(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it is public; a property's docstring speaks for its setter, too."""
    is_setter = any(isinstance(each, ast.Attribute) and each.attr == "setter" for each in node.decorator_list)
    return not node.name.startswith("_") and not is_setter


def undocumented(file: str) -> Iterator[str]:
    """The public module, classes, functions and methods of a file that have no docstring, as file:line name."""

    def walk(node: Documented, name: str, told: frozenset[str] = frozenset()) -> Iterator[str]:
        if not ast.get_docstring(node) and not (is_function(node) and node.name in told):
            yield f"{file}:{getattr(node, 'lineno', 1)} {name}"
        below = [] if is_function(node) else node.body
        for child in below:
            if (isinstance(child, ast.ClassDef) or is_function(child)) and is_told_of(child):
                yield from walk(child, child.name, told_by_a_port() if isinstance(node, ast.ClassDef) else frozenset())

    if (ROOT / file).read_text("utf-8").strip():
        yield from walk(parsed(file), "module")


def test_everything_public_says_what_it_is() -> None:
    assert [name for file in files(*PRODUCT) for name in undocumented(file)] == []


def documents() -> list[Path]:
    return [path for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if path.exists()]


def fenced_calls(text: str) -> list[str]:
    """Every call of `campaign` in a document's fenced blocks, lines that end in a backslash joined."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [found[1] for line in lines if (found := re.match(r"\s*(?:\$ )?((?:[A-Z_]+=\S+ )*campaign .*)", line))]


def check_call(line: str, where: str) -> None:
    """Fails unless the line's subcommand exists and knows its flags."""
    for part in re.split(r"&&|\|\|?|;", line.partition(" #")[0]):
        words = shlex.split(re.sub(r"[<>]\s*\S+", " ", part))
        while words and re.match(r"[A-Z_]+=", words[0]):
            words.pop(0)
        if words[:1] != ["campaign"]:
            continue
        path: tuple[str, ...] = ()
        rest = words[1:]
        while rest and (*path, rest[0]) in commands():
            path, rest = (*path, rest[0]), rest[1:]
        command = commands()[path]
        general = path or not rest or rest[0].startswith("-")
        assert general, f"{where}: no command {rest[0]!r} in: {line}"
        known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        flags = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        unknown = flags - known - {"--help", "-h"}
        assert not unknown, f"{where}: {' '.join(path)} has no {', '.join(unknown)} in: {line}"


def test_every_call_in_the_documents_can_be_made() -> None:
    for path in documents():
        for line in fenced_calls(path.read_text("utf-8")):
            check_call(line, path.name)


@pytest.mark.parametrize(
    "line", ["campaign sned spring.yaml", "campaign send spring.yaml --fast", "cd x && campaign plan a.yaml --yes"]
)
def test_a_call_that_can_not_be_made_is_found(line: str) -> None:
    with pytest.raises(AssertionError, match=" in: "):
        check_call(line, "here")


def test_the_calls_of_a_document_are_found_in_its_fences_alone() -> None:
    text = "`campaign sned`\n```sh\n$ campaign runs\nFOO=1 campaign send a.yaml \\\n  --yes\nother\n```\ncampaign x\n"
    assert [call.split() for call in fenced_calls(text)] == [
        ["campaign", "runs"],
        ["FOO=1", "campaign", "send", "a.yaml", "--yes"],
    ]
