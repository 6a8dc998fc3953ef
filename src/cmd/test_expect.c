/* What a case expects against what was decided: docs/reference/test.md. The decision is written in
 * the words of `expect`, and then the two documents are compared. */

#include <stdlib.h>

#include "cmd/test_inside.h"

enum { GOT_MAX = 1024 * 1024 };

/* The words of `expect`; `path` is where the value stands in what test_put writes. */
static const struct field {
	struct str name;
	const char *path; /* NULL: for people, not compared */
} fields[] = {
	{ STR_INIT("level"), "level" },
	{ STR_INIT("nexthop"), "nexthop" },
	{ STR_INIT("host"), "host" },
	{ STR_INIT("domain"), "domain" },
	{ STR_INIT("port"), "port" },
	{ STR_INIT("protocols"), "protocols" },
	{ STR_INIT("ciphers"), "ciphers" },
	{ STR_INIT("exclude"), "exclude" },
	{ STR_INIT("match"), "match" },
	{ STR_INIT("servername"), "servername" },
	{ STR_INIT("fingerprints"), "fingerprints" },
	{ STR_INIT("fingerprint_digest"), "fingerprint_digest" },
	{ STR_INIT("connection_reuse"), "connection_reuse" },
	{ STR_INIT("enable_rpk"), "enable_rpk" },
	{ STR_INIT("requiretls_action"), "requiretls_action" },
	{ STR_INIT("mx_authorized"), "mx_authorized" },
	{ STR_INIT("trust_anchors"), "trust_anchors" },
	{ STR_INIT("ext"), "ext" },
	{ STR_INIT("ext.policy_type"), "ext.policy_type" },
	{ STR_INIT("ext.policy_domain"), "ext.policy_domain" },
	{ STR_INIT("ext.policy_failure"), "ext.policy_failure" },
	{ STR_INIT("ext.policy_ttl"), "ext.policy_ttl" },
	{ STR_INIT("ext.policy_string"), "ext.policy_string" },
	{ STR_INIT("ext.mx_host_pattern"), "ext.mx_host_pattern" },
	{ STR_INIT("error"), "error" },
	{ STR_INIT("error.dsn"), "error.dsn" },
	{ STR_INIT("error.fatal"), "error.fatal" },
	{ STR_INIT("error.reason"), NULL },
	{ STR_INIT("refusal"), "refusal" },
	{ STR_INIT("refusal.dsn"), "refusal.dsn" },
	{ STR_INIT("refusal.reason"), NULL },
	{ STR_INIT("tls"), "tls" },
	{ STR_INIT("tls.usable"), "tls.usable" },
	{ STR_INIT("tls.versions"), "tls.versions" },
	{ STR_INIT("tls.grade"), "tls.grade" },
	{ STR_INIT("tls.excl"), "tls.excl" },
	{ STR_INIT("tls.sni"), "tls.sni" },
	{ STR_INIT("tls.names"), "tls.names" },
	{ STR_INIT("tls.never_matches"), "tls.never_matches" },
	{ STR_INIT("tls.problems"), "tls.problems" },
	{ STR_INIT("usable"), "tls.usable" },
	{ STR_INIT("versions"), "tls.versions" },
	{ STR_INIT("grade"), "tls.grade" },
	{ STR_INIT("excl"), "tls.excl" },
	{ STR_INIT("sni"), "tls.sni" },
	{ STR_INIT("names"), "tls.names" },
	{ STR_INIT("never_matches"), "tls.never_matches" },
	{ STR_INIT("problems"), "tls.problems" },
	{ STR_INIT("diag"), NULL },
	{ STR_INIT("warnings"), NULL },
	{ STR_INIT("startup_warnings"), NULL },
	{ STR_INIT("comment"), NULL },
};

/* ---- a decision in the words of `expect`; what is not there is null ---- */

static void put_list(struct json *j, const char *key, const struct str *v, size_t n)
{
	json_key(j, key);
	json_array(j);
	for (size_t i = 0; i < n; i++)
		json_str(j, v[i]);
	json_array_end(j);
}

static void put_status(struct json *j, struct arena *a, const char *key, struct status s)
{
	if (s.class == 0)
		return;
	json_key(j, key);
	json_object(j);
	json_put_str(j, "dsn", status_text(a, s));
	json_object_end(j);
}

static void put_versions(struct json *j, const struct policy_decision *d)
{
	static const struct str names[] = { STR_INIT("TLSv1"), STR_INIT("TLSv1.1"),
					    STR_INIT("TLSv1.2"), STR_INIT("TLSv1.3") };
	struct str allowed[ARRAY_LEN(names)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (d->versions & (1u << i))
			allowed[n++] = names[i];
	if (d->has_versions)
		put_list(j, "versions", allowed, n);
}

static void put_grade(struct json *j, const struct policy_decision *d)
{
	static const struct str names[] = {
		[TLS_GRADE_NULL] = STR_INIT("null"),
		[TLS_GRADE_MEDIUM] = STR_INIT("medium"),
		[TLS_GRADE_HIGH] = STR_INIT("high"),
	};
	struct str rest = d->exclusions, token;

	if (d->grade == TLS_GRADE_BAD)
		return;
	json_put_str(j, "grade", names[d->grade]);
	json_key(j, "excl");
	json_array(j);
	while (str_token(&rest, STR(":"), &token))
		json_str(j, token);
	json_array_end(j);
}

/* The codes of what is wrong with TLS settings, adjacent repeats folded. */
static void put_problems(struct json *j, const struct policy_decision *d)
{
	struct str last = STR("");

	json_key(j, "problems");
	json_array(j);
	for (size_t i = 0; i < d->n_trace; i++) {
		struct str code = d->trace[i].code;
		if (!str_has_prefix(code, STR("tls-")) || str_eq(code, STR("tls-required-no")) ||
		    str_eq(code, last))
			continue;
		json_str(j, code);
		last = code;
	}
	json_array_end(j);
}

static void put_tls(struct json *j, const struct policy_decision *d)
{
	json_key(j, "tls");
	json_object(j);
	json_put_bool(j, "usable", d->is_usable);
	put_versions(j, d);
	put_grade(j, d);
	if (d->sni.n > 0)
		json_put_str(j, "sni", d->sni);
	if (d->level == TLS_LEVEL_VERIFY || d->level == TLS_LEVEL_SECURE) {
		put_list(j, "names", d->names, d->n_names);
		json_put_bool(j, "never_matches", d->never_matches);
	}
	put_problems(j, d);
	json_object_end(j);
}

/* Only what was told. */
static void put_sts(struct json *j, const struct policy_sts *s)
{
	json_key(j, "ext");
	json_object(j);
	json_put_str(j, "policy_type", s->type);
	if (s->domain.n > 0)
		json_put_str(j, "policy_domain", s->domain);
	if (s->failure.n > 0)
		json_put_str(j, "policy_failure", s->failure);
	if (s->ttl_s >= 0)
		json_put_int(j, "policy_ttl", s->ttl_s);
	if (s->n_strings > 0)
		put_list(j, "policy_string", s->strings, s->n_strings);
	if (s->n_mx_patterns > 0)
		put_list(j, "mx_host_pattern", s->mx_patterns, s->n_mx_patterns);
	json_object_end(j);
}

static void put_settings(struct json *j, const struct policy_decision *d)
{
	json_put_str(j, "protocols", d->protocols);
	json_put_str(j, "ciphers", d->ciphers);
	json_put_str(j, "exclude", d->exclude);
	json_put_str(j, "servername", d->servername);
	if (d->match)
		put_list(j, "match", d->match, d->n_match);
	if (d->fingerprints) {
		put_list(j, "fingerprints", d->fingerprints, d->n_fingerprints);
		json_put_str(j, "fingerprint_digest", d->fingerprint_digest);
	}
	if (d->n_trust_anchors > 0)
		json_put_int(j, "trust_anchors", (int64_t)d->n_trust_anchors);
	put_tls(j, d);
}

static void put_decision(struct json *j, struct arena *a, const struct policy_decision *d)
{
	json_put_str(j, "level", tls_level_name(d->level));
	json_put_str(j, "host", d->host);
	json_put_str(j, "domain", d->domain);
	put_status(j, a, "error", d->error.status);
	put_status(j, a, "refusal", d->refusal.status);
	if (d->error.status.class == 0) {
		json_put_bool(j, "connection_reuse", d->is_connection_reuse);
		json_put_bool(j, "enable_rpk", d->is_raw_key_enabled);
	}
	if (d->level != TLS_LEVEL_INVALID)
		json_put_bool(j, "mx_authorized", !d->is_mx_forbidden);
	if (d->requiretls)
		json_put_str(j, "requiretls_action", policy_requiretls_name(d->requiretls));
	if (d->level >= TLS_LEVEL_MAY && d->error.status.class == 0)
		put_settings(j, d);
	if (d->sts.type.n > 0)
		put_sts(j, &d->sts);
}

static void put_result(struct json *j, struct arena *a, const struct test_result *r)
{
	json_object(j);
	if (r->nexthop.n > 0)
		json_put_str(j, "nexthop", r->nexthop);
	if (r->decision) {
		json_put_int(j, "port", r->port);
		put_decision(j, a, r->decision);
	} else if (r->fatal.n > 0) {
		json_put_str(j, "level", STR("fatal"));
		json_key(j, "error");
		json_object(j);
		json_put_str(j, "fatal", r->fatal);
		json_object_end(j);
	} else {
		put_status(j, a, "error", r->status);
	}
	json_object_end(j);
}

static struct json_doc *result_doc(struct arena *a, const struct test_result *r)
{
	struct error e = { 0 };
	struct buf out;
	struct json j;

	buf_init(&out, GOT_MAX);
	json_init(&j, &out, false);
	put_result(&j, a, r);
	struct json_doc *doc = json_end(&j) ? json_doc_new(buf_str(&out), &e) : NULL;
	buf_fini(&out);
	return doc;
}

/* ---- the comparison ---- */

static bool is_same(const struct json_node *a, const struct json_node *b);

static bool is_same_array(const struct json_node *a, const struct json_node *b)
{
	bool is_equal = json_count(a) == json_count(b);

	for (size_t i = 0; is_equal && i < json_count(a); i++)
		is_equal = is_same(json_item(a, i), json_item(b, i));
	return is_equal;
}

static bool is_same(const struct json_node *a, const struct json_node *b)
{
	struct str s, t;
	int64_t i, k;
	bool x, y;

	if (json_is_none(a, "") || json_is_none(b, ""))
		return json_is_none(a, "") && json_is_none(b, "");
	if (json_kind_of(a) == JSON_KIND_ARRAY && json_kind_of(b) == JSON_KIND_ARRAY)
		return is_same_array(a, b);
	if (json_get_str(a, "", &s) && json_get_str(b, "", &t))
		return str_eq(s, t);
	if (json_get_int(a, "", &i) && json_get_int(b, "", &k))
		return i == k;
	return json_get_bool(a, "", &x) && json_get_bool(b, "", &y) && x == y;
}

struct comparison {
	struct arena *arena;
	struct test_verdict *verdict;
	const struct test_result *result;
	const struct json_node *got;
	struct str host;
};

static void differ(struct comparison *x, const struct field *f, const struct json_node *want,
		   const struct json_node *got)
{
	struct test_verdict *v = x->verdict;

	if (v->n == v->room) {
		v->room = v->room ? v->room * 2 : 8;
		v->v = base_realloc(v->v, v->room * sizeof(*v->v));
	}
	v->v[v->n++] = (struct test_difference){ f->name, x->host, want, got };
	if (!v->because)
		v->because = x->result;
}

static const struct field *field_find(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (str_eq(fields[i].name, name))
			return &fields[i];
	return NULL;
}

static void compare_members(struct comparison *x, struct str prefix, const struct json_node *want);

static void compare_field(struct comparison *x, struct str name, const struct json_node *want)
{
	const struct field *f = field_find(name);
	const struct json_node *got;

	if (!f) {
		if (x->verdict->error.n == 0)
			x->verdict->error =
				arena_fmt(x->arena, "expect has no field \"" STR_FMT "\"",
					  STR_ARG(name));
		return;
	}
	if (!f->path)
		return;
	if (json_kind_of(want) == JSON_KIND_OBJECT) {
		compare_members(x, name, want);
		return;
	}
	got = json_at(x->got, f->path);
	if (!is_same(want, got))
		differ(x, f, want, got);
}

static void compare_members(struct comparison *x, struct str prefix, const struct json_node *want)
{
	const struct json_node *value;
	struct str name;
	void *at = NULL;

	while (json_member_next(want, &at, &name, &value)) {
		if (prefix.n > 0)
			name = arena_fmt(x->arena, STR_FMT "." STR_FMT, STR_ARG(prefix),
					 STR_ARG(name));
		compare_field(x, name, value);
	}
}

void test_compare(struct arena *a, struct test_verdict *v, const struct test_case *c,
		  const struct test_results *r)
{
	*v = (struct test_verdict){ .error = r->error };
	if (r->error.n > 0)
		return;
	v->got = base_alloc((r->n + 1) * sizeof(struct json_doc *));
	for (size_t i = 0; i < r->n && v->error.n == 0; i++) {
		struct comparison x = { a, v, &r->v[i], NULL, STR("") };
		struct json_doc *doc = result_doc(a, &r->v[i]);
		if (!doc) {
			v->error = STR("the decision is too large to compare");
			return;
		}
		v->got[v->n_got++] = doc;
		x.got = json_doc_root(doc);
		if (r->n > 1 && r->v[i].decision)
			x.host = r->v[i].decision->host;
		compare_members(&x, STR(""), c->expect);
	}
}

void test_verdict_fini(struct test_verdict *v)
{
	for (size_t i = 0; i < v->n_got; i++)
		json_doc_free(v->got[i]);
	free(v->got);
	free(v->v);
}
