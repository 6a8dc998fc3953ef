/* Certificates in files and the time. */

#include "policy/lint.h"

#include "base/civil.h"

#define DAY_S 86400
/* Of a longer file, such as a system's bundle, single certificates are of no interest: one root
 * among many expires every year. */
#define CERTS_TOLD_MAX 16

enum state { STATE_GOOD, STATE_EXPIRING, STATE_EXPIRED, STATE_NOT_YET };

static enum state state_of(const struct policy_lint_cert *c, int64_t now_at, int64_t within_s)
{
	if (c->ends_at < now_at)
		return STATE_EXPIRED;
	if (c->begins_at > now_at)
		return STATE_NOT_YET;
	return c->ends_at - now_at < within_s ? STATE_EXPIRING : STATE_GOOD;
}

static struct str date_text(struct arena *a, int64_t at)
{
	struct civil c = civil_of(at);

	return arena_fmt(a, "%04d-%02u-%02u", (int)c.year, c.month, c.day);
}

static struct str subject_of(struct arena *a, const struct policy_lint_cert *c)
{
	return c->subject.n ? arena_fmt(a, " of " STR_FMT, STR_ARG(str_first(c->subject, 200)))
			    : STR("");
}

static const struct {
	struct str expired, expiring, early; /* codes */
	struct str all, one;                 /* what comes of it */
	struct str remedy;
} kinds[] = {
	[POLICY_LINT_CA] = { STR_INIT("ca-expired"), STR_INIT("ca-expiring"),
			     STR_INIT("ca-not-yet-valid"),
			     STR_INIT("no server is trusted by this file"),
			     STR_INIT("servers that it signed are not trusted"),
			     STR_INIT("put the CA's present certificate into the file") },
	[POLICY_LINT_ANCHORS] = { STR_INIT("trust-anchor-expired"),
				  STR_INIT("trust-anchor-expiring"),
				  STR_INIT("trust-anchor-not-yet-valid"),
				  STR_INIT("no server is trusted by this file"),
				  STR_INIT("servers that it signed are not trusted"),
				  STR_INIT("put the present certificate into the file") },
	[POLICY_LINT_CLIENT] = { STR_INIT("client-certificate-expired"),
				 STR_INIT("client-certificate-expiring"),
				 STR_INIT("client-certificate-not-yet-valid"),
				 STR_INIT("servers that ask for it may refuse the mail"),
				 STR_INIT("servers that ask for it may refuse the mail"),
				 STR_INIT("renew the certificate") },
};

static struct str code_of(enum policy_lint_file kind, enum state s)
{
	return s == STATE_EXPIRED    ? kinds[kind].expired
	       : s == STATE_EXPIRING ? kinds[kind].expiring
				     : kinds[kind].early;
}

/* "the certificate of /CN=x expired on 2024-02-01" */
static struct str
what_of(struct arena *a, const struct policy_lint_cert *c, enum state s, int64_t now_at)
{
	struct str subject = subject_of(a, c);

	if (s == STATE_EXPIRED)
		return arena_fmt(a, "the certificate" STR_FMT " expired on " STR_FMT,
				 STR_ARG(subject), STR_ARG(date_text(a, c->ends_at)));
	if (s == STATE_NOT_YET)
		return arena_fmt(a, "the certificate" STR_FMT " is valid from " STR_FMT,
				 STR_ARG(subject), STR_ARG(date_text(a, c->begins_at)));
	return arena_fmt(a, "the certificate" STR_FMT " expires on " STR_FMT ", in %lld days",
			 STR_ARG(subject), STR_ARG(date_text(a, c->ends_at)),
			 (long long)((c->ends_at - now_at) / DAY_S));
}

static struct conf_finding finding_of(struct arena *a, const struct policy_lint_certs *certs,
				      const struct policy_lint_cert *c, enum state s,
				      int64_t now_at, bool is_all)
{
	bool is_over = s != STATE_EXPIRING;
	struct str effect = is_all ? kinds[certs->kind].all : kinds[certs->kind].one;
	struct str what = what_of(a, c, s, now_at);

	return (struct conf_finding){
		.severity = is_over && is_all && certs->kind != POLICY_LINT_CLIENT ? CONF_ERROR
										   : CONF_WARNING,
		.code = code_of(certs->kind, s),
		.text = is_over ? arena_fmt(a, STR_FMT ": " STR_FMT ": " STR_FMT,
					    STR_ARG(certs->path), STR_ARG(what), STR_ARG(effect))
				: arena_fmt(a, STR_FMT ": " STR_FMT, STR_ARG(certs->path),
					    STR_ARG(what)),
		.remedy = kinds[certs->kind].remedy,
	};
}

/* Only the server's own certificate of a client's chain is no CA; all of the chain has to be good
 * in either case. */
struct conf_findings policy_lint_certs(struct arena *a, const struct policy_lint_certs *certs,
				       int64_t now_at, int64_t within_s)
{
	struct conf_finding *v = ARENA_ARRAY(a, (size_t)CERTS_TOLD_MAX + 1, struct conf_finding);
	size_t n = 0, n_over = 0, n_told = 0;

	for (size_t i = 0; i < certs->n; i++) {
		enum state s = state_of(&certs->v[i], now_at, within_s);
		n_over += s == STATE_EXPIRED || s == STATE_NOT_YET;
		n_told += s != STATE_GOOD;
	}
	bool is_all = n_over == certs->n && certs->n_keys == 0;
	if (n_told == 0 || (certs->n > CERTS_TOLD_MAX && !is_all))
		return (struct conf_findings){ v, 0 };
	for (size_t i = 0; i < certs->n && n < CERTS_TOLD_MAX; i++) {
		enum state s = state_of(&certs->v[i], now_at, within_s);
		if (s != STATE_GOOD)
			v[n++] = finding_of(a, certs, &certs->v[i], s, now_at, is_all);
	}
	return (struct conf_findings){ v, n };
}
