/* From libunbound's results to answers. Everything in a result may come from a stranger. */

#include <string.h>

#include "base/limits.h"
#include "dns/room.h"

bool dns_is_nxdomain(const struct ub_result *r)
{
	return r->nxdomain != 0;
}

/* libunbound gives no extended errors (RFC 8914) but why validation failed. */
static struct str dns_failure(struct arena *a, const struct ub_result *r)
{
	static const char *const names[] = { "NOERROR",  "FORMERR", "SERVFAIL",
					     "NXDOMAIN", "NOTIMP",  "REFUSED" };
	struct str why = str_of(r->why_bogus);

	if (r->bogus)
		return arena_fmt(a, "DNSSEC validation failed%s" STR_FMT, why.n ? ": " : "",
				 STR_ARG(why));
	if ((size_t)r->rcode < ARRAY_LEN(names))
		return arena_fmt(a, "%s%s" STR_FMT, names[r->rcode], why.n ? ": " : "",
				 STR_ARG(why));
	return arena_fmt(a, "DNS error %d", r->rcode);
}

static bool dns_is_failed(const struct ub_result *r)
{
	return r->bogus || (r->rcode != 0 && !r->nxdomain);
}

/* Nothing was learned of a name whose lookup failed, except that somebody meddles with it. */
static enum dnssec_status dns_status(const struct ub_result *r, bool is_validated)
{
	if (!is_validated)
		return DNSSEC_UNCHECKED;
	if (r->bogus)
		return DNSSEC_BOGUS;
	if (dns_is_failed(r))
		return DNSSEC_UNCHECKED;
	return r->secure ? DNSSEC_SECURE : DNSSEC_INSECURE;
}

static enum answer_status dns_answer_status(const struct ub_result *r)
{
	if (dns_is_failed(r))
		return ANSWER_FAILED;
	return r->havedata ? ANSWER_FOUND : ANSWER_NONE;
}

static uint32_t dns_ttl(const struct ub_result *r)
{
	return r->ttl > 0 && !dns_is_failed(r) ? (uint32_t)r->ttl : 0;
}

static size_t dns_count(const struct ub_result *r)
{
	size_t n = 0;

	while (r->data && r->data[n])
		n++;
	return n;
}

static bool dns_is_plain(char c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_';
}

bool dns_read_name(struct arena *a, struct str wire, struct str *out)
{
	char *text = arena_alloc(a, (size_t)4 * DOMAIN_NAME_MAX + 1);
	size_t at = 0, n = 0;

	for (;;) {
		if (at >= wire.n || at > DOMAIN_NAME_MAX)
			return false;
		size_t label = (uint8_t)wire.p[at++];
		if (label == 0)
			break;
		if (label > DOMAIN_LABEL_MAX || label > wire.n - at || at + label > DOMAIN_NAME_MAX)
			return false;
		if (n)
			text[n++] = '.';
		for (size_t i = 0; i < label; i++, at++) {
			unsigned c = (uint8_t)wire.p[at];
			if (dns_is_plain((char)c)) {
				text[n++] = ascii_lower((char)c);
				continue;
			}
			text[n++] = '\\';
			text[n++] = (char)('0' + c / 100);
			text[n++] = (char)('0' + c / 10 % 10);
			text[n++] = (char)('0' + c % 10);
		}
	}
	*out = str_span(text, n);
	return true;
}

static bool dns_read_mx_record(struct arena *a, struct str wire, struct mx_record *out)
{
	if (wire.n < 3)
		return false;
	out->preference = (uint16_t)((uint8_t)wire.p[0] << 8 | (uint8_t)wire.p[1]);
	return dns_read_name(a, str_from(wire, 2), &out->host);
}

static struct answer dns_failed(struct answer like, struct str why)
{
	like.status = ANSWER_FAILED;
	like.failure = why;
	like.mx = NULL;
	like.n_mx = 0;
	like.ttl = 0;
	return like;
}

static struct answer
dns_read_mx_records(struct arena *a, const struct ub_result *r, struct answer answer)
{
	size_t n = dns_count(r);
	struct mx_record *v;

	if (n > DNS_RECORDS_MAX)
		return dns_failed(answer,
				  arena_fmt(a, "%zu MX records: more than %d", n, DNS_RECORDS_MAX));
	v = ARENA_ARRAY(a, n, struct mx_record);
	for (size_t i = 0; i < n; i++)
		if (r->len[i] < 0 ||
		    !dns_read_mx_record(a, str_span(r->data[i], (size_t)r->len[i]), &v[i]))
			return dns_failed(answer, STR("a malformed MX record"));
	answer.mx = v;
	answer.n_mx = n;
	return answer;
}

struct answer dns_read_mx(struct arena *a, const struct ub_result *r, bool is_validated)
{
	struct answer answer = {
		.status = dns_answer_status(r),
		.dnssec = dns_status(r, is_validated),
		.ttl = dns_ttl(r),
		.is_nxdomain = dns_is_nxdomain(r),
	};

	if (answer.status == ANSWER_FAILED)
		return dns_failed(answer, dns_failure(a, r));
	return answer.status == ANSWER_FOUND ? dns_read_mx_records(a, r, answer) : answer;
}

struct answer dns_read_pointer(struct arena *a, const struct ub_result *r, bool is_validated)
{
	struct answer answer = {
		.status = dns_answer_status(r),
		.dnssec = dns_status(r, is_validated),
		.ttl = dns_ttl(r),
		.is_nxdomain = dns_is_nxdomain(r),
	};

	if (answer.status == ANSWER_FAILED)
		return dns_failed(answer, dns_failure(a, r));
	if (answer.status == ANSWER_NONE)
		return answer;
	if (r->len[0] < 0 ||
	    !dns_read_name(a, str_span(r->data[0], (size_t)r->len[0]), &answer.value))
		return dns_failed(answer, STR("a malformed PTR record"));
	return answer;
}

struct str dns_reverse_name(struct arena *a, const struct address *address)
{
	const uint8_t *v = address->octets;
	struct str name = STR("");

	if (address->family == ADDRESS_V4)
		return arena_fmt(a, "%u.%u.%u.%u.in-addr.arpa", v[3], v[2], v[1], v[0]);
	for (size_t i = 16; i-- > 0;)
		name = arena_fmt(a, STR_FMT "%x.%x.", STR_ARG(name), v[i] & 15u, v[i] >> 4);
	return arena_fmt(a, STR_FMT "ip6.arpa", STR_ARG(name));
}

static struct address_answer dns_family_failed(struct address_answer like, struct str why)
{
	like.status = ANSWER_FAILED;
	like.failure = why;
	like.ttl = 0;
	return like;
}

struct address_answer dns_read_family(struct arena *a, const struct ub_result *r,
				      enum address_family family, bool is_validated,
				      struct address *v, size_t *n)
{
	int octets = family == ADDRESS_V4 ? 4 : 16;
	size_t count = dns_count(r);
	struct address_answer out = {
		.status = dns_answer_status(r),
		.dnssec = dns_status(r, is_validated),
		.ttl = dns_ttl(r),
		.is_asked = true,
	};

	if (out.status == ANSWER_FAILED)
		return dns_family_failed(out, dns_failure(a, r));
	if (out.status == ANSWER_NONE)
		return out;
	if (count > DNS_RECORDS_MAX)
		return dns_family_failed(out, arena_fmt(a, "%zu addresses: more than %d", count,
							DNS_RECORDS_MAX));
	for (size_t i = 0; i < count; i++)
		if (r->len[i] != octets)
			return dns_family_failed(out, STR("a malformed address record"));
	for (size_t i = 0; i < count; i++) {
		v[*n] = (struct address){ .family = family };
		memcpy(v[(*n)++].octets, r->data[i], (size_t)octets);
	}
	return out;
}

/* Weaker first: what a mixture is worth. */
static int dns_rank(enum dnssec_status s)
{
	switch (s) {
	case DNSSEC_BOGUS:
		return 0;
	case DNSSEC_UNCHECKED:
		return 1;
	case DNSSEC_INSECURE:
		return 2;
	case DNSSEC_SECURE:
		return 3;
	}
	CHECK(!"DNSSEC status");
	return 0;
}

/* FOUND before FAILED before NONE: one family that resolves is enough, and a failure is no proof of
 * absence. */
static enum answer_status dns_join_status(const struct answer *answer)
{
	enum answer_status status = ANSWER_NONE;

	for (size_t f = 0; f < ARRAY_LEN(answer->family); f++) {
		const struct address_answer *family = &answer->family[f];
		if (family->is_asked && family->status == ANSWER_FOUND)
			return ANSWER_FOUND;
		if (family->is_asked && family->status == ANSWER_FAILED)
			status = ANSWER_FAILED;
	}
	return status;
}

void dns_join_families(struct arena *a, struct answer *answer)
{
	bool is_first = true;

	answer->status = dns_join_status(answer);
	for (size_t f = 0; f < ARRAY_LEN(answer->family); f++) {
		const struct address_answer *family = &answer->family[f];
		if (!family->is_asked || family->status != answer->status)
			continue;
		if (is_first || dns_rank(family->dnssec) < dns_rank(answer->dnssec))
			answer->dnssec = family->dnssec;
		if (is_first || family->ttl < answer->ttl)
			answer->ttl = family->ttl;
		if (family->status == ANSWER_FAILED)
			answer->failure =
				arena_fmt(a, STR_FMT "%s%s: " STR_FMT, STR_ARG(answer->failure),
					  is_first ? "" : "; ", f == ADDRESS_V4 ? "A" : "AAAA",
					  STR_ARG(family->failure));
		is_first = false;
	}
}

struct str dns_canonical(struct arena *a, const struct ub_result *r, struct str name)
{
	struct str canonical = str_of(r->canonname);

	if (canonical.n == 0)
		return name;
	if (canonical.p[canonical.n - 1] == '.')
		canonical.n--;
	return arena_lower(a, canonical);
}
