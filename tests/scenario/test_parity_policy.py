"""Postfix delivers under entries of smtp_tls_policy_maps, under the whole matrix of smtp_tls_per_site,
and under the table that `hopseal convert` makes of it: outcome, what the receiver saw, and the kind
of session that Postfix logs are those of Hopseal, and those of before."""

import subprocess

import pytest
from lab import postfix_client as pc

MESSAGE = b"Subject: s\r\n\r\nx\r\n"
RECEIVERS = ["no-starttls", "self-signed", "wrong-name", "valid"]

# What Postfix logs of a session, in the words of a judgement.
REACHED = {
    "Anonymous": "encrypted",
    "Untrusted": "encrypted",
    "Trusted": "trusted",
    "Verified": "verified",
}


@pytest.fixture
def postfix_sends(postfix_client, sink):
    """postfix_sends(address, port, **sink): (outcome, status), the receiver's view, log's word."""

    def run(address, port, **config):
        before = len(postfix_client.sessions())
        with sink(port=port, **config) as s:
            fate = postfix_client.send_to(address)[0][:2]
            seen = [(x.verbs(), x.tls_version, x.sni) for x in s.wait_ended().sessions]
        return fate, seen, [REACHED[word] for word in postfix_client.sessions()[before:]]

    return run


@pytest.fixture
def policy(hopseal, ca):
    """Hopseal with the same policy table."""
    table = pc.policy_table(ca, hopseal.dir)
    return hopseal.configure({"policy": table}, smtp_tls_policy_maps="texthash:TABLES/policy")


def hopseal_sends(policy, sink, port, host=pc.HOST, **config):
    """The same of Hopseal, and what it reached."""
    with sink(port=port, **config) as s:
        done = policy.send("bob@x.example", options=("-o", f"relayhost=[{host}]:{port}"))
        seen = [(x.verbs(), x.tls_version, x.sni) for x in s.wait_ended().sessions]
    judged = [t["judgement"]["reached"] for t in done.tries if t["kind"] == "session"]
    return done, seen, [r for r, (_, version, _) in zip(judged, seen) if version]


@pytest.mark.parametrize("receiver", RECEIVERS)
@pytest.mark.parametrize("entry", pc.POLICIES)
def test_policy_table(policy, postfix_sends, sink, ca, entry, receiver):
    cert = None if receiver == "no-starttls" else ca.cert(receiver, pc.HOST)
    port = pc.port_of(entry)
    fate, seen, logged = postfix_sends(f"bob@p{port}.example", port, cert=cert)
    done, our_seen, reached = hopseal_sends(policy, sink, port, cert=cert)
    assert (done.fate, our_seen) == (fate, seen), done
    assert logged_as(done, reached) == logged, done


def logged_as(done, reached):
    """What was reached, as Postfix would log it."""
    level = done.tries[0]["decision"]["level"] if done.tries else None
    if level in ("may", "encrypt"):
        # Postfix does not look at names there; a chain that it trusts may well have the right one
        return ["trusted" if r == "verified" else r for r in reached]
    if done.fate == ("deferred", "4.7.5"):
        # Postfix says Untrusted whatever is missing; Hopseal says what there was
        return ["encrypted" if r == "trusted" else r for r in reached]
    return reached


@pytest.mark.parametrize("receiver", ["no-starttls", "wrong-name"])
@pytest.mark.parametrize("keywords", pc.MATRIX, ids=" and ".join)
def test_whole_per_site_matrix(hopseal, postfix_sends, sink, ca, keywords, receiver):
    """The receivers tell the four levels apart. The converted table has to say the same."""
    host, port = pc.matrix_host(keywords[1]), pc.MATRIX[keywords]
    cert = None if receiver == "no-starttls" else ca.cert(receiver, host)
    fate, seen, logged = postfix_sends(f"bob@m{port}.example", port, cert=cert)
    assert postfix_sends(f"bob@converted.m{port}.example", port, cert=cert) == (fate, seen, logged)
    hopseal.configure({"per_site": pc.matrix_table()}, smtp_tls_per_site="texthash:TABLES/per_site")
    done, our_seen, reached = hopseal_sends(hopseal, sink, port, host, cert=cert)
    assert (done.fate, our_seen, logged_as(done, reached)) == (fate, seen, logged), done


@pytest.mark.parametrize("receiver", RECEIVERS)
@pytest.mark.parametrize("keyword", pc.PORTS)
def test_converted_table(postfix_sends, ca, keyword, receiver):
    cert = None if receiver == "no-starttls" else ca.cert(receiver, pc.HOST)
    domain, port = pc.domain_of(keyword), pc.PORTS[keyword]
    before = postfix_sends(f"bob@{domain}", port, cert=cert)
    after = postfix_sends(f"bob@converted.{domain}", port, cert=cert)
    assert after == before


def test_postfix_reads_the_converted_file(postfix_client):
    new = postfix_client.etc.parent / "new"
    for name, value in [
        ("smtp_tls_policy_maps", f"texthash:{new}/tls_policy"),
        ("smtp_tls_per_site", ""),
        ("smtp_tls_security_level", "none"),
    ]:
        argv = ["/usr/sbin/postconf", "-c", new, "-x", "-h", name]
        told = subprocess.run(argv, capture_output=True, text=True, check=True)
        assert told.stdout.strip() == value
        assert all("master.cf" in line for line in told.stderr.splitlines())  # there is none
