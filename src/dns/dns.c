/* Questions in flight. libunbound works on its own thread and wakes us through a descriptor; its
 * calls only take results down, and our callers are called when it is out of the way, so that they
 * may ask, cancel and free as they like. */

#include "dns/dns.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "dns/room.h"

/* One lookup of libunbound; an ADDRESS question has two. */
struct dns_part {
	struct dns_query *query;
	int type;
	int id; /* for ub_cancel; 0: not in flight */
	struct ub_result *result;
};

struct dns_query {
	struct dns *dns;
	struct dns_query *next, **link; /* of all, or of those that are ready */
	struct arena *arena;
	struct question question;
	struct dns_part part[2];
	size_t n_parts, n_open;
	struct dns_native *native;
	struct net_timer *timer;
	struct str trouble; /* not "": FAILED because of this, whatever the parts say */
	struct answer answer;
	void (*answered)(void *arg, const struct answer *answer);
	void *arg;
};

struct dns {
	struct net_loop *loop;
	struct ub_ctx *ub;
	struct net_watch *watch; /* only while lookups are in flight: it keeps the loop running */
	size_t n_parts;
	uint64_t timeout_ms;
	bool has_family[2];
	bool is_validated;
	struct dns_query *open, *ready;
	bool is_delivering, is_freed; /* freed from within a call: dns_deliver does the rest */
};

static void dns_enlist(struct dns_query **head, struct dns_query *q)
{
	q->next = *head;
	q->link = head;
	if (q->next)
		q->next->link = &q->next;
	*head = q;
}

static void dns_delist(struct dns_query *q)
{
	*q->link = q->next;
	if (q->next)
		q->next->link = q->link;
}

static void dns_watch_less(struct dns *d)
{
	if (--d->n_parts > 0)
		return;
	net_watch_free(d->watch);
	d->watch = NULL;
}

static void dns_query_stop(struct dns_query *q)
{
	for (size_t i = 0; i < q->n_parts; i++) {
		if (q->part[i].id) {
			ub_cancel(q->dns->ub, q->part[i].id);
			dns_watch_less(q->dns);
		}
		q->part[i].id = 0;
	}
	if (q->native)
		dns_native_cancel(q->native);
	q->native = NULL;
}

/* Gives back all but the query itself with its arena: what is left needs no loop. */
static void dns_query_close(struct dns_query *q)
{
	dns_query_stop(q);
	for (size_t i = 0; i < q->n_parts; i++)
		ub_resolve_free(q->part[i].result);
	q->n_parts = 0;
	net_timer_free(q->timer);
	q->timer = NULL;
}

static void dns_query_free(struct dns_query *q)
{
	dns_query_close(q);
	arena_free(q->arena);
	free(q);
}

static void dns_make_ready(struct dns_query *q)
{
	dns_delist(q);
	dns_enlist(&q->dns->ready, q);
}

/* A part without result was not answered in time. */
static struct address_answer dns_query_family(struct dns_query *q, size_t part, struct address *v)
{
	enum address_family f = q->part[part].type == DNS_TYPE_A ? ADDRESS_V4 : ADDRESS_V6;
	struct address_answer out = { .status = ANSWER_FAILED, .is_asked = true };

	if (q->part[part].result)
		return dns_read_family(q->arena, q->part[part].result, f, q->dns->is_validated, v,
				       &q->answer.n_addresses);
	out.failure = q->trouble;
	return out;
}

static void dns_query_addresses(struct dns_query *q)
{
	struct address *v = ARENA_ARRAY(q->arena, (size_t)2 * DNS_RECORDS_MAX, struct address);
	bool is_nxdomain = false;

	q->answer.canonical = q->question.name;
	for (size_t i = 0; i < q->n_parts; i++) {
		const struct ub_result *r = q->part[i].result;
		size_t f = q->part[i].type == DNS_TYPE_A ? ADDRESS_V4 : ADDRESS_V6;
		q->answer.family[f] = dns_query_family(q, i, v);
		is_nxdomain |= r && dns_is_nxdomain(r);
		if (q->answer.family[f].status != ANSWER_FAILED)
			q->answer.canonical = dns_canonical(q->arena, r, q->question.name);
	}
	q->answer.addresses = v;
	dns_join_families(q->arena, &q->answer);
	q->answer.is_nxdomain = q->answer.status == ANSWER_NONE && is_nxdomain;
}

static void dns_query_mx(struct dns_query *q)
{
	const struct ub_result *r = q->part[0].result;

	if (r) {
		q->answer = dns_read_mx(q->arena, r, q->dns->is_validated);
		q->answer.canonical = dns_canonical(q->arena, r, q->question.name);
		return;
	}
	q->answer.status = ANSWER_FAILED;
	q->answer.failure = q->trouble;
	q->answer.canonical = q->question.name;
}

static void dns_query_pointer(struct dns_query *q)
{
	if (q->part[0].result) {
		q->answer = dns_read_pointer(q->arena, q->part[0].result, q->dns->is_validated);
		return;
	}
	q->answer.status = ANSWER_FAILED;
	q->answer.failure = q->trouble;
}

static void dns_query_native(struct dns_query *q)
{
	if (!q->trouble.n)
		return;
	q->answer.status = ANSWER_FAILED;
	q->answer.failure = q->trouble;
}

static void dns_query_finish(struct dns_query *q)
{
	switch (q->question.kind) {
	case QUESTION_MX:
		dns_query_mx(q);
		return;
	case QUESTION_ADDRESS:
		dns_query_addresses(q);
		return;
	case QUESTION_NATIVE:
		dns_query_native(q);
		return;
	case QUESTION_POINTER:
		dns_query_pointer(q);
		return;
	case QUESTION_TABLE:
	case QUESTION_TRUST_ANCHORS:
		break;
	}
	CHECK(!"a question for DNS");
}

static void dns_delete(struct dns *d)
{
	dns_context_free(d->ub);
	free(d);
}

/* Calls those that wait for what is ready. Any of them may free everything. */
static void dns_deliver(struct dns *d)
{
	if (d->is_delivering)
		return; /* further out, somebody is at it */
	d->is_delivering = true;
	while (d->ready) {
		struct dns_query *q = d->ready;
		dns_delist(q);
		dns_query_finish(q);
		dns_query_close(q);
		q->answered(q->arg, &q->answer);
		dns_query_free(q);
	}
	d->is_delivering = false;
	if (d->is_freed)
		dns_delete(d);
}

static void dns_resolved(void *arg, int code, struct ub_result *r)
{
	struct dns_part *p = arg;
	struct dns_query *q = p->query;

	p->id = 0;
	p->result = r;
	dns_watch_less(q->dns);
	if (code != UB_NOERROR)
		q->trouble = arena_fmt(q->arena, "libunbound: %s", ub_strerror(code));
	if (--q->n_open == 0)
		dns_make_ready(q);
}

static void dns_readable(void *arg)
{
	struct dns *d = arg;

	ub_process(d->ub);
	dns_deliver(d);
}

static void dns_expired(void *arg)
{
	struct dns_query *q = arg;
	struct dns *d = q->dns;

	if (!q->trouble.n)
		q->trouble = arena_fmt(q->arena, "no answer within %llu ms",
				       (unsigned long long)d->timeout_ms);
	dns_query_stop(q);
	dns_make_ready(q);
	dns_deliver(d);
}

static void dns_native_answered(void *arg, const struct answer *answer)
{
	struct dns_query *q = arg;

	q->native = NULL;
	q->answer = answer_copy(q->arena, answer);
	dns_make_ready(q);
	dns_deliver(q->dns);
}

static bool dns_watch_more(struct dns *d)
{
	struct error e;

	if (!d->watch)
		d->watch = net_watch_new(d->loop, ub_fd(d->ub), dns_readable, d, &e);
	d->n_parts += d->watch != NULL;
	return d->watch != NULL;
}

static void dns_query_start(struct dns_query *q, int type)
{
	struct dns_part *p = &q->part[q->n_parts++];
	int code;

	p->query = q;
	p->type = type;
	if (!dns_watch_more(q->dns)) {
		q->trouble = STR("the loop cannot watch libunbound");
		return;
	}
	code = ub_resolve_async(q->dns->ub, q->question.name.p, type, DNS_CLASS_IN, p, dns_resolved,
				&p->id);
	if (code == UB_NOERROR) {
		q->n_open++;
		return;
	}
	p->id = 0;
	dns_watch_less(q->dns);
	q->trouble = arena_fmt(q->arena, "libunbound: %s", ub_strerror(code));
}

static void dns_query_begin(struct dns_query *q)
{
	struct dns *d = q->dns;
	struct address address;

	switch (q->question.kind) {
	case QUESTION_MX:
		dns_query_start(q, DNS_TYPE_MX);
		return;
	case QUESTION_ADDRESS:
		if (d->has_family[ADDRESS_V4])
			dns_query_start(q, DNS_TYPE_A);
		if (d->has_family[ADDRESS_V6])
			dns_query_start(q, DNS_TYPE_AAAA);
		return;
	case QUESTION_NATIVE:
		q->native = dns_native_new(d->loop, q->question.name, d->has_family,
					   dns_native_answered, q);
		return;
	case QUESTION_POINTER:
		CHECK(address_parse(q->question.name, &address));
		q->question.name = dns_reverse_name(q->arena, &address);
		dns_query_start(q, DNS_TYPE_PTR);
		return;
	case QUESTION_TABLE:
	case QUESTION_TRUST_ANCHORS:
		break;
	}
	CHECK(!"a question for DNS");
}

struct dns_query *dns_ask(struct dns *d, const struct question *question,
			  void (*answered)(void *arg, const struct answer *answer), void *arg)
{
	struct dns_query *q = base_alloc(sizeof(*q));
	uint64_t now = net_loop_now(d->loop);

	q->dns = d;
	q->arena = arena_new();
	q->question = (struct question){ .kind = question->kind,
					 .name = arena_str(q->arena, question->name) };
	q->answered = answered;
	q->arg = arg;
	q->timer = net_timer_new(d->loop, dns_expired, q);
	dns_enlist(&d->open, q);
	if (question->name.n > DOMAIN_NAME_MAX ||
	    memchr(q->question.name.p, '\0', question->name.n))
		q->trouble = STR("not a domain name");
	else
		dns_query_begin(q);
	net_timer_set(q->timer, q->n_open || q->native ? now + d->timeout_ms : now);
	return q;
}

void dns_cancel(struct dns_query *q)
{
	dns_delist(q);
	dns_query_free(q);
}

struct dns *dns_new(struct net_loop *l, const struct dns_options *o, struct error *e)
{
	struct ub_ctx *ub = dns_context_new(o, e);

	if (!ub)
		return NULL;
	struct dns *d = base_alloc(sizeof(*d));
	d->loop = l;
	d->ub = ub;
	d->timeout_ms = o->timeout_ms;
	d->has_family[ADDRESS_V4] = o->has_ipv4;
	d->has_family[ADDRESS_V6] = o->has_ipv6;
	d->is_validated = o->trust_anchor_file.n > 0;
	return d;
}

void dns_free(struct dns *d)
{
	if (!d)
		return;
	while (d->open)
		dns_cancel(d->open);
	while (d->ready)
		dns_cancel(d->ready);
	d->is_freed = true;
	if (!d->is_delivering)
		dns_delete(d);
}
