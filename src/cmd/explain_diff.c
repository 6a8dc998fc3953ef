/* explain --diff: every destination is decided under both configurations, once to count and, where
 * there is something to tell, once more to tell it. So a million of them fit into memory. */

#include "cmd/explain_diff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/limits.h"
#include "mail/nexthop.h"

enum {
	DIFF_LOWERED = 1,
	DIFF_CHANGED = 2,
	DIFF_CANNOT_TELL = 3,
	DIFF_PIECE_MAX = 64 * 1024 * 1024,
};

/* ---- one destination ---- */

static uint16_t port_of(struct str nexthop)
{
	struct nexthop n;

	return nexthop_parse(nexthop, 25, true, &n) == NEXTHOP_OK ? n.port : 25;
}

static struct policy_subject
subject_of(const struct diff *x, enum route_protocol protocol, struct str nexthop, struct str host)
{
	struct str key = route_table_key(protocol, nexthop);

	return (struct policy_subject){
		.nexthop = key,
		.host = host,
		.port = port_of(key),
		.has_tls_required_no = x->options->has_tls_required_no,
		.has_requiretls = x->options->has_requiretls,
		.is_lmtp = protocol == ROUTE_LMTP,
	};
}

static void
decide_half(struct diff *x, int side, struct diff_half *h, const struct policy_subject *s)
{
	struct policy_decision *d = ARENA_NEW(x->arena, struct policy_decision);
	struct error e = { 0 };

	h->subject = *s;
	if (cmd_decide(&x->site[side], x->arena, &h->subject, d, &e))
		h->decision = d;
	else
		h->reason = arena_fmt(x->arena, "not decided: " STR_FMT, STR_ARG(error_text(&e)));
}

static struct str host_for(const struct diff *x, struct str nexthop, struct str host)
{
	const struct cmd_destination d = { nexthop, host };

	return x->options->host ? str_of(x->options->host) : cmd_destination_host(&d);
}

/* An address goes where transport_maps and the like send it. Of several next-hops the first is
 * decided: it is the one that is tried first. */
static void
decide_address(struct diff *x, int side, struct diff_half *h, const struct cmd_destination *to)
{
	const struct str *each;
	struct error e = { 0 };
	struct policy_subject s;
	struct route r;

	h->subject.nexthop = to->nexthop;
	if (!cmd_decide_route(&x->site[side], x->arena, to->nexthop, &r, &e)) {
		h->reason = arena_fmt(x->arena, "not routed: " STR_FMT, STR_ARG(error_text(&e)));
		return;
	}
	if (r.kind != ROUTE_DELIVER) {
		h->reason = arena_fmt(x->arena, "%s %u.%u.%u: " STR_FMT,
				      r.kind == ROUTE_DISCARD ? "discarded" : "refused",
				      r.outcome.status.class, r.outcome.status.subject,
				      r.outcome.status.detail, STR_ARG(r.outcome.reason));
		return;
	}
	(void)route_nexthops(x->arena, r.nexthop, &each);
	s = subject_of(x, r.protocol, each[0], host_for(x, each[0], to->host));
	decide_half(x, side, h, &s);
	h->reason = r.nexthop; /* all of them, to see whether the route is the same */
}

/* As the client that would deliver reads it. */
static const struct conf *conf_of(const struct diff *x, int side, const struct diff_half *h)
{
	const struct conf *conf = x->site[side].site.conf;

	return h->subject.is_lmtp ? conf_lmtp(conf) : conf;
}

static void compare_halves(struct diff *x, struct diff_pair *p, bool is_address)
{
	const struct diff_half *a = &p->half[0], *b = &p->half[1];
	struct policy_comparison c;

	if (!str_eq(a->reason, b->reason))
		p->aspects = 1u << (is_address ? (int)DIFF_ASPECT_ROUTE : POLICY_ASPECT_ERROR);
	if (!a->decision || !b->decision) {
		p->change = !p->aspects   ? POLICY_UNCHANGED
			    : a->decision ? POLICY_REFUSED
			    : b->decision ? POLICY_RELEASED
					  : POLICY_CHANGED;
		return;
	}
	const struct policy_side sides[] = {
		{ conf_of(x, 0, a), a->decision, a->subject.nexthop },
		{ conf_of(x, 1, b), b->decision, b->subject.nexthop },
	};
	c = policy_compare(&sides[0], &sides[1]);
	/* other machines get the mail: more or less is no question then */
	p->change = p->aspects && c.change != POLICY_RELEASED && c.change != POLICY_REFUSED
			    ? POLICY_CHANGED
			    : c.change;
	p->aspects |= c.aspects;
}

struct diff_pair diff_decide(struct diff *x, size_t i)
{
	const struct cmd_destination *to = &x->list.v[i];
	struct diff_pair p = { .aspects = 0 };
	bool is_address = str_contains(to->nexthop, '@');
	const struct policy_subject subject =
		subject_of(x, x->options->is_lmtp ? ROUTE_LMTP : ROUTE_SMTP, to->nexthop,
			   host_for(x, to->nexthop, to->host));

	arena_reset(x->arena);
	for (int side = 0; side < 2; side++) {
		if (is_address)
			decide_address(x, side, &p.half[side], to);
		else
			decide_half(x, side, &p.half[side], &subject);
	}
	compare_halves(x, &p, is_address);
	return p;
}

static bool lacks_answer(const struct diff_half *h)
{
	return h->decision ? cmd_decision_lacks_answer(h->decision)
			   : str_has_prefix(h->reason, STR("not "));
}

static void diff_count(struct diff *x)
{
	x->changes = base_alloc(x->list.n + 1);
	for (size_t i = 0; i < x->list.n; i++) {
		struct diff_pair p = diff_decide(x, i);

		x->changes[i] = (uint8_t)p.change;
		x->counts[p.change]++;
		x->lacks_answer |= lacks_answer(&p.half[0]) || lacks_answer(&p.half[1]);
	}
}

static int diff_status(const struct diff *x)
{
	if (x->counts[POLICY_LOWERED] || x->counts[POLICY_RELEASED])
		return DIFF_LOWERED;
	if (x->lacks_answer)
		return DIFF_CANNOT_TELL;
	return x->counts[POLICY_CHANGED] || x->counts[POLICY_REFUSED] ? DIFF_CHANGED : EX_OK;
}

/* ---- the list ---- */

static bool add_line(struct diff *x, struct str line)
{
	if (line.n == 0 || line.p[0] == '#')
		return true;
	if (line.n > NEXTHOP_MAX) {
		cmd_say("a destination has more than %d octets", NEXTHOP_MAX);
		return false;
	}
	cmd_destinations_add(&x->list, line, STR(""));
	return true;
}

static int add_stdin(struct diff *x)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int status = EX_OK;

	while (status == EX_OK && (n = getline(&line, &room, stdin)) >= 0)
		if (!add_line(x, str_trim(str_span(line, (size_t)n))))
			status = EX_DATAERR;
	if (status == EX_OK && ferror(stdin)) {
		cmd_say("standard input: %s", strerror(errno));
		status = EX_IOERR;
	}
	free(line);
	return status;
}

static int diff_list(struct diff *x)
{
	const struct explain_options *o = x->options;
	int status = EX_OK;

	for (int i = 0; i < o->n_subjects && status == EX_OK; i++) {
		if (strcmp(o->subjects[i], "-") == 0)
			status = add_stdin(x);
		else if (!add_line(x, str_of(o->subjects[i])))
			status = EX_USAGE;
	}
	if (o->n_subjects > 0)
		return status;
	for (int side = 0; side < 2; side++)
		cmd_destinations_add_site(&x->list, x->site[side].site.conf,
					  x->site[side].site.tables);
	cmd_destinations_sort(&x->list);
	if (x->list.has_unlisted)
		cmd_say("note: some tables cannot list their keys: what they say is seen only "
			"where another table or the routing names the destination");
	return status;
}

/* ---- all of it ---- */

static int diff_report(struct diff *x)
{
	int status = diff_status(x);
	bool is_printed;

	buf_init(&x->out, DIFF_PIECE_MAX);
	is_printed = x->options->is_json ? diff_json(x, status) : diff_text(x);
	buf_fini(&x->out);
	return is_printed ? status : EX_IOERR;
}

static int diff_opened(struct diff *x)
{
	int status;

	x->arena = arena_new();
	cmd_destinations_init(&x->list);
	status = diff_list(x);
	if (status == EX_OK) {
		diff_count(x);
		status = diff_report(x);
	}
	free(x->changes);
	cmd_destinations_fini(&x->list);
	arena_free(x->arena);
	return status;
}

static int diff_open_other(struct diff *x)
{
	const struct cmd_sources other = { .config_dir = x->options->diff };
	struct error e = { 0 };
	int status = EX_OK;
	struct conf *conf =
		cmd_configure(&other, x->options->is_verbose ? CONF_NOTE : CONF_ERROR, &status);

	if (!conf)
		return status;
	if (!cmd_decider_open(&x->site[1], conf, &e))
		return cmd_fail(&e);
	status = diff_opened(x);
	cmd_decider_close(&x->site[1]);
	return status;
}

int explain_diff(const struct explain_options *o, struct conf *conf)
{
	struct diff x = { .options = o };
	struct error e = { 0 };
	int status;

	if (!cmd_decider_open(&x.site[0], conf, &e))
		return cmd_fail(&e);
	status = diff_open_other(&x);
	cmd_decider_close(&x.site[0]);
	return status;
}
