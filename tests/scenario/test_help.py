"""What the program says about itself: --help, hopseal(1), README.md and the exit codes of wrong
usage agree."""

import re
import subprocess

import pytest
from lab.hopseal import TREE, program

COMMANDS = ["send", "serve", "sendmail", "queue", "status", "reload", "stop"]
COMMANDS += ["explain", "check", "convert", "query", "table", "test", "sink"]
MANUAL = (TREE / "man/hopseal.1").read_text()
README = (TREE / "README.md").read_text()

OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


def run(*argv):
    """Runs the program without a configuration."""
    return subprocess.run(
        [program(), *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def helped(command):
    """The options that `hopseal COMMAND --help` names, where it explains them."""
    lines = run(command, "--help").stdout.splitlines()
    rows = [line.strip() for line in lines if re.match(r" {2,6}-", line)]
    # "-h, --help" is one row, and an example repeats an option
    return {o for row in rows for o in OPTION.findall(row.split("  ")[0])} - {"--help"}


def flags(line):
    """The options of an mdoc line: "Fl hv" is -h and -v, "Fl -json" is --json."""
    found = set()
    for word in re.findall(r"\bFl (-?[a-z-]+)", line):
        found |= {"-" + word} if word.startswith("-") else {"-" + letter for letter in word}
    return found - {"--help"}


def synopsis(command):
    """The options of a command in SYNOPSIS."""
    text = MANUAL.split(".Sh SYNOPSIS\n")[1].split(".Sh")[0]
    (part,) = [p for p in text.split(".Nm hopseal\n") if p.startswith(f".Cm {command}\n")]
    return flags(part)


def described(command):
    """The options that have a paragraph, of a command or (None) of several."""
    if command:
        part = MANUAL.split(f".Ss {command}\n")[1]
    else:
        part = MANUAL.split(".Sh DESCRIPTION\n")[1]
    part = re.split(r"^\.S[sh] ", part, flags=re.M)[0]
    return set().union(*(flags(line) for line in part.splitlines() if line.startswith(".It Fl")))


def common(command):
    """The options of several commands that the manual says this one has too."""
    part = re.split(r"^\.Ss ", MANUAL.split(".Sh DESCRIPTION\n")[1], flags=re.M)[0]
    found = set()
    for item in part.split(".It ")[1:]:
        who = re.search(r"^\.Pq Cm (.*)$", item, flags=re.M)
        if not who or command in who[1].replace(",", " ").split():
            found |= flags(item.splitlines()[0])
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_manual_and_help_name_the_same_options(command):
    told = helped(command)
    assert told, "no options found: the form of --help has changed"
    assert synopsis(command) == told
    assert described(command) | common(command) == told


@pytest.mark.parametrize("command", COMMANDS)
def test_options_of_the_usage_line_are_explained(command):
    usage = run(command, "--help").stdout.split("\n\n")[0]
    assert set(OPTION.findall(usage)) - {"--help"} <= helped(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_known(command):
    for option in helped(command) - {"-h"}:
        # --help ends the reading of options: a value is whatever follows
        done = run(command, option, "1", "--help")
        assert "no option" not in done.stderr, (option, done.stderr)


@pytest.mark.parametrize("argv", [("--help",), ("-h",)] + [(c, "--help") for c in COMMANDS])
def test_help_goes_to_standard_output(argv):
    done = run(*argv)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("usage: hopseal ")
    assert max(map(len, done.stdout.splitlines())) <= 90


def test_help_names_every_command():
    rows = re.findall(r"^  ([a-z]+) ", run("--help").stdout, flags=re.M)
    assert rows == COMMANDS
    assert re.findall(r"^\.Ss ([a-z]+)$", MANUAL, flags=re.M) == COMMANDS


def test_version():
    wanted = re.search(r"version: '([^']+)'", (TREE / "meson.build").read_text())[1]
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"hopseal {wanted}\n", "")
    assert f"## {wanted}" in (TREE / "NEWS.md").read_text()


@pytest.mark.parametrize(
    "argv, said, advice",
    [
        ((), "a command is missing", "hopseal --help"),
        (("deliver",), 'no command "deliver"', "hopseal --help"),
        (("--bogus",), 'no command "--bogus"', "hopseal --help"),
        *(((c, "--bogus"), "no option --bogus", f"hopseal {c} --help") for c in COMMANDS),
        *(((c, "-x"), "no option -x", f"hopseal {c} --help") for c in COMMANDS),
        (("send", "-c"), "option -c needs a value", "hopseal send --help"),
        (("explain", "--host"), "option --host needs a value", "hopseal explain --help"),
        (("sink", "--cert"), "option --cert needs a value", "hopseal sink --help"),
        (("send",), "a recipient is missing", "hopseal send --help"),
        (("explain",), "next-hop or address is wanted", "hopseal explain --help"),
        (("queue", "delete"), "which mail?", "hopseal queue --help"),
        (("status", "now"), '"now"', "hopseal status --help"),
        (("check", "now"), '"now"', "hopseal check --help"),
        (("query", "static:x"), "a table and a key are wanted", "hopseal query --help"),
        (("table",), '"build"', "hopseal table --help"),
        (("table", "build"), "a table is missing", "hopseal table --help"),
        (("table", "build", "cdb"), '"cdb"', "hopseal table --help"),
        (("test",), "a file with cases is missing", "hopseal test --help"),
        (("sink", "now"), '"now"', "hopseal sink --help"),
    ],
)
def test_wrong_usage_is_64_with_advice(argv, said, advice):
    done = run(*argv)
    assert done.returncode == 64 and done.stdout == ""
    assert said in done.stderr and f'try "{advice}"' in done.stderr
    assert all(line.startswith("hopseal: ") for line in done.stderr.splitlines())


@pytest.mark.parametrize(
    "closed, argv, code",
    [
        ("<&-", ["--version"], 0),
        (">&-", ["--version"], 74),
        ("<&- >&-", ["--help"], 74),
        ("2>&-", ["--bogus"], 64),
        (">&- 2>&-", ["check", "--help"], 74),
    ],
)
def test_closed_descriptors(closed, argv, code):
    line = " ".join([str(program()), *argv, closed])
    assert subprocess.run(["sh", "-c", line], capture_output=True, check=False).returncode == code


def test_no_standard_input_is_no_empty_message(tmp_path):
    (tmp_path / "main.cf").write_text("relayhost = [127.0.0.1]:1\n")
    line = f"{program()} send -c {tmp_path} -f a@client.example b@good.example <&-"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 74 and "reading the message" in done.stderr


def shown(text):
    """The commands that stand behind a prompt in a text, with their options."""
    for line in re.findall(r"^\$ hopseal (.*)$", text, flags=re.M):
        command, *rest = line.split()
        yield command, set(OPTION.findall(" ".join(rest)))


@pytest.mark.parametrize("page", ["README.md", "docs/guide/from-postfix.md"])
def test_commands_of_the_pages_exist(page):
    seen = list(shown((TREE / page).read_text()))
    assert seen
    for command, options in seen:
        assert command in COMMANDS
        assert options <= helped(command), command


def test_make_targets_of_the_readme_exist():
    makefile = (TREE / "Makefile").read_text()
    for target in re.findall(r"`?make ([a-z]+)\b", README):
        assert re.search(rf"^{target}:", makefile, flags=re.M), target
