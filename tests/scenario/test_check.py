"""check: what is wrong with a configuration, before any mail meets it."""

import os

import pytest


def codes(result, severity=None):
    return [f["code"] for f in result.json["findings"] if severity in (None, f["severity"])]


def finding(result, word):
    """The only finding that has `word` in its text or parameter."""
    found = [f for f in result.json["findings"] if word in f["text"] + (f["parameter"] or "")]
    assert len(found) == 1, f"{word}: {len(found)} findings\n{result}"
    return found[0]


def test_a_good_configuration_has_no_errors(hopseal):
    result = hopseal.per_site({"good.example": "MUST"}, relayhost="[mail.example]:587").check()
    assert result.code == 0 and result.json["errors"] == 0, result


def test_deprecated_table_is_named_with_its_remedy(hopseal):
    result = hopseal.per_site({"good.example": "MUST"}).check()
    found = [f for f in result.json["findings"] if f["parameter"] == "smtp_tls_per_site"]
    assert any(f["remedy"] for f in found), result


def test_unknown_name_with_the_nearest_known(hopseal):
    result = hopseal.configure(smtp_tls_persite="texthash:x").check()
    f = finding(result, "smtp_tls_persite")
    assert f["severity"] == "warning" and "smtp_tls_per_site" in f["text"] + f["remedy"]
    assert f["file"].endswith("main.cf") and f["line"] > 0 and result.code == 0


@pytest.mark.parametrize(
    "name, value", [("smtp_tls_loglevel", "1"), ("smtp_fallback_relay", "[x.example]")]
)
def test_not_honoured_is_listed(hopseal, name, value):
    result = hopseal.configure(**{name: value}).check()
    assert "not honoured" in finding(result, name)["text"], result


def test_what_would_change_routing_is_louder(hopseal):
    loud = hopseal.configure(smtp_fallback_relay="[x.example]").check()
    quiet = hopseal.configure(smtp_tls_loglevel="1").check()
    order = ["note", "warning", "error"]
    assert order.index(finding(loud, "smtp_fallback_relay")["severity"]) > order.index(
        finding(quiet, "smtp_tls_loglevel")["severity"]
    )


def test_policy_entries_that_do_not_parse_are_errors(hopseal):
    table = "good.example secure match=a.example\nplain.example none ciphers=high\nbad.example may x=1\n"
    hopseal.configure({"policy": table}, smtp_tls_policy_maps="texthash:TABLES/policy")
    result = hopseal.check()
    assert result.code == 78, result
    found = {
        (f["line"], f["severity"], f["code"])
        for f in result.json["findings"]
        if (f["file"] or "").endswith("policy")
    }
    assert found == {
        (2, "warning", "policy-attr-ignored"),
        (3, "error", "policy-attr-unknown"),
    }


@pytest.mark.parametrize(
    "code, entry",
    [
        ("trust-anchor", "verify tafile=/nonexistent/x"),
        ("tls-invalid-protocols", "encrypt protocols=TLSv9"),
        ("tls-invalid-grade", "encrypt ciphers=best"),
        ("tls-cipher-empty", "encrypt exclude=ALL"),
        ("tls-no-match-names", "secure match=:"),
        ("fingerprint-none", "fingerprint match=no:fingerprint"),
        ("dane-no-dnssec", "dane-only"),
    ],
)
def test_policy_entries_that_defer_mail_are_errors(hopseal, code, entry):
    table = f"a.example may\ngood.example {entry}\n"
    hopseal.configure({"policy": table}, smtp_tls_policy_maps="texthash:TABLES/policy")
    result = hopseal.check()
    assert result.code == 78, result
    found = {f["code"]: f for f in result.json["findings"] if f["severity"] == "error"}
    assert found[code]["line"] == 2 and found[code]["file"].endswith("policy")
    assert hopseal.explain("good.example").code == 1


def test_an_entry_of_a_plugin_is_no_error(hopseal):
    entry = "secure match=a.example policy_type=sts mx_host_pattern=mx.a.example"
    hopseal.configure(
        {"policy": f"a.example {entry}\n"}, smtp_tls_policy_maps="texthash:TABLES/policy"
    )
    assert hopseal.check().json["errors"] == 0


@pytest.mark.parametrize(
    "table, relayhost, word",
    [
        ({"mx.good.example": "MUST"}, "[mx.good.example]:587", "mx.good.example"),
        ({"[other.example]:25": "MUST"}, "[mail.example]:587", "[other.example]:25"),
    ],
)
def test_keys_that_do_not_do_what_they_look_like(hopseal, table, relayhost, word):
    result = hopseal.per_site(table, relayhost=relayhost).check()
    f = [x for x in result.json["findings"] if word in x["text"]]
    assert f and f[0]["line"] == 1 and f[0]["file"].endswith("per_site"), result
    assert f[0]["remedy"], result


def test_unknown_keyword_in_a_table(hopseal):
    result = hopseal.per_site({"a.example": "MUST", "b.example": "MUSTARD"}).check()
    f = finding(result, "MUSTARD")
    assert f["line"] == 2 and f["file"].endswith("per_site"), result


def test_missing_table_is_an_error(hopseal):
    result = hopseal.configure(smtp_tls_per_site="texthash:TABLES/nowhere").check()
    assert result.code == 78 and "nowhere" in result.out, result


def test_missing_ca_folder_is_a_warning(hopseal):
    result = hopseal.configure(smtp_tls_CApath="/nonexistent/x").check()
    f = finding(result, "/nonexistent/x")
    assert result.code == 0 and (f["severity"], f["parameter"]) == ("warning", "smtp_tls_CApath")


@pytest.mark.parametrize(
    "name", ["smtp_tls_CAfile", "smtp_tls_chain_files", "hopseal_dns_trust_anchor_file"]
)
def test_missing_file_is_an_error(hopseal, name):
    result = hopseal.configure(**{name: "/nonexistent/x"}).check()
    assert result.code == 78 and "/nonexistent/x" in result.out, result


def test_text_for_people_has_the_same_findings(hopseal):
    hopseal.configure(smtp_tls_persite="x")
    out = hopseal.run("check").out
    assert "main.cf:" in out and "smtp_tls_persite" in out and "smtp_tls_per_site" in out


def test_a_reload_reads_the_new_table(hopseal, sink):
    sink()
    assert hopseal.per_site({"good.example": "MUST"}).send("b@good.example").code == 75
    assert hopseal.per_site({"good.example": "NONE"}).send("b@good.example").code == 0


@pytest.mark.parametrize(
    "code, settings",
    [
        ("tls-invalid-protocols", {"smtp_tls_mandatory_protocols": ">=TLSv9"}),
        ("tls-invalid-grade", {"smtp_tls_mandatory_ciphers": "best"}),
        ("tls-cipher-empty", {"smtp_tls_exclude_ciphers": "ALL"}),
        ("tls-settings", {"tls_medium_cipherlist": "nonsense"}),
        ("tls-no-match-names", {"smtp_tls_verify_cert_match": ","}),
        ("trust-anchor", {"smtp_tls_trust_anchor_file": "/nonexistent/x"}),
        ("tls-wrappermode", {"smtp_tls_wrappermode": "yes"}),
        ("nexthop-syntax", {"relayhost": "[mail.example"}),
        ("nexthop-syntax", {"relayhost": "[mail.example]:no-such-service"}),
        ("nexthop-syntax", {"transport_maps": "inline:{ { a.example = lmtp:unix:here } }"}),
        ("nexthop-syntax", {"transport_maps": "inline:{ a.example=:[b }"}),
        ("transport-unsupported", {"transport_maps": "inline:{ a.example=virtual: }"}),
        ("transport-unsupported", {"default_transport": "uucp:x"}),
        ("transport-unsupported", {"relay_transport": "uucp", "relay_domains": "b.example"}),
    ],
)
def test_what_would_defer_mail_is_an_error(hopseal, code, settings):
    hopseal.per_site({"good.example": "MUST"}, **settings)
    result = hopseal.check()
    assert result.code == 78, result
    (f,) = {f["text"]: f for f in result.json["findings"] if f["code"] == code}.values()
    assert f["severity"] == "error"
    # and so it does: no host may be used, or the route is refused
    if code.startswith("tls-") and code not in ("tls-settings", "tls-wrappermode"):
        assert hopseal.explain("good.example").code == 1


def test_levels_that_no_entry_asks_for_are_not_judged(hopseal):
    settings = {"smtp_tls_mandatory_protocols": ">=TLSv9"}
    assert hopseal.per_site({"good.example": "MAY"}, **settings).check().code == 0


def test_transports_that_are_there(hopseal):
    table = "a.example smtp:[b]:587\nc.example relay:\nd.example error:5.1.1 gone\n"
    table += "e.example discard:\nf.example lmtp:unix:/run/lmtp\ng.example :[h]\ni.example retry:\n"
    hopseal.configure({"transport": table}, transport_maps="texthash:TABLES/transport")
    assert hopseal.check().code == 0


def test_a_wrong_transport_is_named_with_its_line(hopseal):
    table = "a.example smtp:[b]:587\n\nc.example dovecot:\n"
    hopseal.configure({"transport": table}, transport_maps="texthash:TABLES/transport")
    f = finding(hopseal.check(), "dovecot")
    assert f["file"].endswith("/transport") and f["line"] == 3


def test_keys_are_not_judged_when_a_table_cannot_list_its_next_hops(hopseal):
    table = {"[inside.example]:26": "MUST"}
    never = hopseal.per_site(table, transport_maps="inline:{ a.example=: }").check()
    finding(never, "never matches")
    maybe = hopseal.per_site(table, transport_maps="static:{ smtp:[inside.example]:26 }").check()
    assert "never matches" not in maybe.out


def test_the_passwords_of_clients(hopseal, tmp_path):
    table = tmp_path / "passwords"
    settings = {
        "hopseal_listeners": "smtp:127.0.0.1:2525",
        "hopseal_sasl_password_maps": f"texthash:{table}",
    }
    assert hopseal.configure(**settings).check().code == 0, "nobody asks it"
    settings["smtpd_sasl_auth_enable"] = "yes"
    missing = hopseal.configure(**settings).check()
    assert missing.code == 78 and codes(missing, "error") == ["table-open"], missing
    failing = hopseal.configure(**{**settings, "hopseal_sasl_password_maps": "fail:x"}).check()
    assert failing.code == 78 and codes(failing, "error") == ["sasl-lookup"], failing
    hopseal.configure(**settings)

    table.write_text("alice secret\nbob {SCRAM-SHA-256}odd\ncarol {PLAIN}{x}\n")
    table.chmod(0o604)
    result = hopseal.check()
    assert result.code == 0 and sorted(codes(result)) == ["sasl-password", "table-readable-by-all"]
    bad = finding(result, '"bob"')
    assert bad["file"] == str(table) and bad["line"] == 2 and bad["remedy"]
    assert "secret" not in result.out and "odd" not in result.out
    table.write_text("alice secret\n")
    table.chmod(0o600)
    assert not codes(hopseal.check())


def test_the_folder_of_the_queue(hopseal, tmp_path):
    queue = tmp_path / "queue"
    settings = {"hopseal_queue_directory": str(queue), "hopseal_user": "root"}
    result = hopseal.configure(**settings).check()
    assert "queue-directory" not in codes(result), result
    queue.mkdir(mode=0o700)
    assert "queue-directory" not in codes(hopseal.check())
    queue.chmod(0o770)
    assert "queue-directory" in codes(hopseal.check(), "warning")
    queue.chmod(0o700)
    os.chown(queue, 12345, 12345)
    assert "queue-directory" in codes(hopseal.check(), "warning")
    queue.rmdir()
    queue.touch()
    assert "queue-directory" in codes(hopseal.check(), "error")
    settings["hopseal_queue_directory"] = str(tmp_path / "nowhere" / "queue")
    result = hopseal.configure(**settings).check()
    assert "queue-directory" in codes(result, "error") and result.code == 78, result


def test_more_connections_than_files(hopseal):
    assert "files-limit" not in codes(hopseal.configure().check())
    result = hopseal.configure(hopseal_connection_limit="2000000000").check()
    assert "files-limit" in codes(result, "warning") and result.code == 0, result
