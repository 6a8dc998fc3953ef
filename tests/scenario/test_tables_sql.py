"""Tables that ask an SQLite file: `hopseal query` answers what Debian's `postmap -q` does."""

import itertools
import os
import sqlite3
import time

import pytest
from lab.sql import FORMS, KEYS, PLAIN, fill
from lab.tables import needs_postmap


@pytest.fixture
def database(folder):
    """An SQLite file with the rows."""
    path = folder.dir / "policy.db"
    with sqlite3.connect(path) as db:
        fill(db.execute, "?")
    return path


def sqlite_table(folder, parameters=PLAIN, name="table.cf"):
    text = parameters.replace("FOLDER", str(folder.dir))
    return f"sqlite:{folder.write(name, f'dbpath = {folder.dir}/policy.db{chr(10)}{text}')}"


@pytest.mark.parametrize("form", FORMS)
def test_sqlite_answers_as_in_postfix(folder, database, form):
    needs_postmap("sqlite")
    folder.write("domains", "# those\nmail.example.org !example.org\n")
    values = folder.agree_on_all(sqlite_table(folder, FORMS[form]), KEYS)
    if form == "plain":
        assert values["EXAMPLE.COM"] == "encrypt"
        assert values["o'hara.example"] == "verify"
        assert values["two"] == "first,second"
        assert "void.example" not in values and "null.example" not in values
    if form == "a list in tables":
        assert set(values) == {
            "alice@example.com", "bob@mail.example.org", "carol@mail.example.org"
        }


@pytest.mark.parametrize("limit,key", itertools.product([1, 2, 3], ["two", "example.com"]))
def test_more_values_than_the_limit_fail(folder, database, limit, key):
    needs_postmap("sqlite")
    spec = sqlite_table(folder, f"{PLAIN}\nexpansion_limit = {limit}")
    if key == "two" and limit == 1:
        done = folder.hopseal("query", spec, key)
        assert done.returncode == 75 and "expansion_limit" in done.stderr
        assert folder.postmap("-q", key, spec).returncode != 0
    else:
        assert folder.agree(spec, key) is not None


def test_any_key(folder, database):
    needs_postmap("sqlite")
    for key in ["line\nend", "x" * 3000, "bücher.example"]:
        folder.agree(sqlite_table(folder, "query = SELECT '%s' || key FROM policy"), key)


def test_parameters_in_main_cf(folder, database):
    needs_postmap("sqlite")
    folder.write(
        "main.cf",
        f"compatibility_level = 3.6\nwhere = WHERE key = '%s'\nlocal_dbpath = {database}\n"
        "local_query = SELECT value FROM policy $where\nlocal_result_format = (%s)\n",
    )
    assert folder.agree("sqlite:local", "example.com") == "(encrypt)"
    assert folder.hopseal("query", "sqlite:remote", "example.com").returncode == 75


# What is wrong, and a part of what is said about it. The lookup fails; it never finds nothing.
BROKEN = [
    ("dbpath = FOLDER/policy.db", '"query" is missing'),
    ("query = SELECT 1", '"dbpath" is missing'),
    ("dbpath = FOLDER/policy.db\nquery = SELECT '%x'", '"%x" means nothing'),
    ("dbpath = FOLDER/policy.db\nquery = SELECT '%s'\nresult_format =", "result format"),
    ("dbpath = FOLDER/policy.db\nquery = SELECT '%s'\nexpansion_limit = x", "not a number"),
    ("dbpath = FOLDER/policy.db\nquery = SELECT '%s'\ndomain = /nowhere", "/nowhere"),
    ("dbpath = FOLDER/missing.db\nquery = SELECT '%s'", "No such file"),
    ("dbpath = FOLDER\nquery = SELECT '%s'", "Not a regular file"),
    ("dbpath = FOLDER/noise\nquery = SELECT '%s'", "not a database"),
    ("dbpath = FOLDER/policy.db\nquery = SELECT x FROM missing WHERE y = '%s'", "no such table"),
    ("dbpath = FOLDER/policy.db\nquery = SELEC '%s'", "syntax error"),
    ("dbpath = FOLDER/policy.db\nquery = DELETE FROM policy WHERE key = '%s'", "readonly"),
]


@pytest.mark.parametrize("text,said", BROKEN)
def test_what_is_broken_fails(hopseal, folder, database, text, said):
    folder.write("noise", "x" * 5000)
    spec = f"sqlite:{folder.write('t.cf', text.replace('FOLDER', str(folder.dir)))}"
    done = folder.hopseal("query", spec, "example.com")
    assert done.returncode == 75 and said in done.stderr, done
    assert "No such file" in folder.hopseal("query", "sqlite:/missing.cf", "x").stderr
    if said != "readonly":
        checked = hopseal.configure(smtp_tls_policy_maps=spec).check()
        errors = [f for f in checked.json["findings"] if f["severity"] == "error"]
        assert checked.code == 78 and any(said in f["text"] for f in errors), checked


def test_findings(hopseal, folder, database):
    spec = sqlite_table(
        folder,
        "query = SELECT value, more FROM policy WHERE key = '%s' OR key = %u\nquerry = x\n"
        "query = SELECT value, more FROM policy WHERE key = '%s' OR key = '%u' OR n = %s\n"
        "nonsense\n",
    )
    found = hopseal.configure(smtp_tls_policy_maps=spec).check().json["findings"]
    assert {(f["code"], f["line"]) for f in found} == {
        ("table-parameter-unknown", 3),
        ("table-parameter-again", 2),
        ("table-parameter-syntax", 5),
        ("table-query-bare", 4),
    }
    assert all(f["severity"] == "warning" and f["file"].endswith("table.cf") for f in found)
    two = sqlite_table(folder, "query = SELECT 'may', 'none'")
    found = hopseal.configure(smtp_tls_policy_maps=two).check().json["findings"]
    assert [f["code"] for f in found] == ["table-query-constant", "table-query-columns"]
    good = sqlite_table(folder)
    assert hopseal.configure(smtp_tls_policy_maps=good).check().json["findings"] == []


def test_a_file_that_is_replaced_answers(folder, database):
    child = folder.start(sqlite_table(folder))
    assert folder.ask(child, "example.com") == "encrypt"
    with sqlite3.connect(database) as db:
        db.execute("UPDATE policy SET value = 'may' WHERE key = 'example.com'")
    assert folder.ask(child, "example.com") == "may", "changed in place"
    with sqlite3.connect(folder.dir / "new.db") as db:
        db.execute("CREATE TABLE policy (n, key, value)")
        db.execute("INSERT INTO policy VALUES (1, 'example.com', 'none')")
    os.rename(folder.dir / "new.db", database)
    time.sleep(1.1)
    assert folder.ask(child, "example.com") == "none"
    database.unlink()
    time.sleep(1.1)
    assert folder.ask(child, "example.com") == ""
    _, told = child.communicate(timeout=10)
    assert child.returncode == 75 and "No such file" in told


def test_a_locked_file_fails(folder, database):
    spec = sqlite_table(folder)
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    done = folder.hopseal("query", spec, "example.com")
    assert time.monotonic() - began < 9
    assert done.returncode == 75 and "locked" in done.stderr
    writer.execute("COMMIT")
    assert folder.hopseal("query", spec, "example.com").stdout == "encrypt\n"
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("BEGIN EXCLUSIVE")
    assert folder.hopseal("query", spec, "example.com").stdout == "encrypt\n"
    writer.close()


def test_a_query_without_end_is_cut_off(folder, database):
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
    spec = sqlite_table(folder, f"query = {endless} WHERE x = '%s'")
    began = time.monotonic()
    done = folder.hopseal("query", spec, "example.com")
    assert done.returncode == 75 and "longer than 1000 ms" in done.stderr
    assert 0.9 < time.monotonic() - began < 9


def test_a_damaged_file_fails(folder, database):
    octets = bytearray(database.read_bytes())
    octets[4096:] = b"\xa5" * (len(octets) - 4096)
    database.write_bytes(octets)
    done = folder.hopseal("query", sqlite_table(folder), "example.com")
    assert done.returncode == 75 and "malformed" in done.stderr


def test_decision_by_sqlite(hopseal, folder, database):
    with sqlite3.connect(database) as db:
        db.execute("INSERT INTO policy VALUES (0, 'good.example', 'encrypt', NULL)")
    hopseal.configure(smtp_tls_policy_maps=sqlite_table(folder))
    assert hopseal.explain("good.example").decision["level"] == "encrypt"
    database.unlink()
    explained = hopseal.explain("good.example")
    assert "No such file" in explained.out
    assert explained.decision["level"] == "invalid" and "4.7.5" in explained.out
