#include "base/test.h"
#include "queue/inside.h"

static const struct queue_settings settings = {
	.backoff_least_ms = 300000,
	.backoff_most_ms = 4000000,
	.lifetime_ms = 5 * 86400000ll,
	.bounce_lifetime_ms = 86400000ll,
	.warning_ms = 4 * 3600000ll,
	.suspend_replies = STR_INIT("421, 450/4.7.1"),
};

enum { NOTHING = -1 };

#define HOUR 3600000ll
#define DAY (24 * HOUR)

static const struct {
	const char *rule;
	enum outcome_kind kind;
	int64_t age_ms;
	struct str sender, notify;
	bool is_warned, is_soft;
	enum store_verdict want;
	int told; /* dsn_kind, NOTHING */
	int64_t wait_ms;
} verdict_cases[] = {
	{ "delivered, and nobody asked", OUTCOME_DELIVERED, 0, STR_INIT("a@b"), STR_INIT(""), false,
	  false, STORE_GONE, NOTHING, 0 },
	{ "delivered, and the sender asked", OUTCOME_DELIVERED, 0, STR_INIT("a@b"),
	  STR_INIT("SUCCESS,FAILURE"), false, false, STORE_TO_BE_TOLD, DSN_SUCCESS, 0 },
	{ "bounced", OUTCOME_BOUNCED, 0, STR_INIT("a@b"), STR_INIT(""), false, false,
	  STORE_TO_BE_TOLD, DSN_FAILURE, 0 },
	{ "bounced, and the sender wants no word", OUTCOME_BOUNCED, 0, STR_INIT("a@b"),
	  STR_INIT("NEVER"), false, false, STORE_GONE, NOTHING, 0 },
	{ "soft_bounce", OUTCOME_BOUNCED, 0, STR_INIT("a@b"), STR_INIT(""), false, true,
	  STORE_RETRY_AT, NOTHING, 300000 },
	{ "soft_bounce has an end", OUTCOME_BOUNCED, 5 * DAY, STR_INIT("a@b"), STR_INIT(""), false,
	  true, STORE_TO_BE_TOLD, DSN_FAILURE, 0 },
	{ "deferred when new", OUTCOME_DEFERRED, 0, STR_INIT("a@b"), STR_INIT(""), false, false,
	  STORE_RETRY_AT, NOTHING, 300000 },
	{ "deferred later", OUTCOME_DEFERRED, 1000000, STR_INIT("a@b"), STR_INIT(""), false, false,
	  STORE_RETRY_AT, NOTHING, 1000000 },
	{ "a clock that went back", OUTCOME_DEFERRED, -DAY, STR_INIT("a@b"), STR_INIT(""), false,
	  false, STORE_RETRY_AT, NOTHING, 300000 },
	{ "delay_warning_time", OUTCOME_DEFERRED, 4 * HOUR, STR_INIT("a@b"), STR_INIT(""), false,
	  false, STORE_RETRY_AT, DSN_DELAY, 4000000 },
	{ "warned once", OUTCOME_DEFERRED, 5 * HOUR, STR_INIT("a@b"), STR_INIT(""), true, false,
	  STORE_RETRY_AT, NOTHING, 4000000 },
	{ "no warning for notices", OUTCOME_DEFERRED, 5 * HOUR, STR_INIT(""), STR_INIT(""), false,
	  false, STORE_RETRY_AT, NOTHING, 4000000 },
	{ "no warning that is not wanted", OUTCOME_DEFERRED, 5 * HOUR, STR_INIT("a@b"),
	  STR_INIT("FAILURE"), false, false, STORE_RETRY_AT, NOTHING, 4000000 },
	{ "maximal_queue_lifetime", OUTCOME_DEFERRED, 5 * DAY, STR_INIT("a@b"), STR_INIT(""), true,
	  false, STORE_TO_BE_TOLD, DSN_FAILURE, 0 },
	{ "bounce_queue_lifetime", OUTCOME_DEFERRED, DAY, STR_INIT(""), STR_INIT(""), false, false,
	  STORE_TO_BE_TOLD, DSN_FAILURE, 0 },
};

TEST(an_outcome_becomes_a_verdict)
{
	FOR_EACH(c, verdict_cases) {
		struct queue_settings s = settings;
		struct store_message m = { .arrived_ms = 10 * DAY, .sender = c->sender };
		struct store_rcpt r = { .index = 3,
					.notify = c->notify,
					.is_warned = c->is_warned,
					.is_asked_for = c->is_soft };
		struct outcome o = { .kind = c->kind, .reason = STR("why") };
		int64_t now = m.arrived_ms + c->age_ms;

		s.is_soft_bounce = c->is_soft;
		struct queue_verdict v = queue_verdict(&s, &m, &r, &o, now);
		ok(v.record.index == 3 && v.record.verdict == c->want, c->rule);
		ok(v.record.was_asked_for == c->is_soft, "whether an operator asked for it");
		ok(v.is_told == (c->told != NOTHING), c->rule);
		ok(!v.is_told || (int)v.kind == c->told, c->rule);
		ok(c->want != STORE_RETRY_AT || v.record.due_ms == now + c->wait_ms, c->rule);
	}
}

TEST(who_hands_a_request_on_tells_no_success)
{
	struct queue_verdict v = { .is_told = true,
				   .kind = DSN_SUCCESS,
				   .record = { .verdict = STORE_TO_BE_TOLD } };
	struct queue_verdict failed = v;

	queue_verdict_hand_on(&v);
	ok(!v.is_told && v.record.verdict == STORE_GONE, "RFC 3461 section 5.2.1");
	failed.kind = DSN_FAILURE;
	queue_verdict_hand_on(&failed);
	ok(failed.is_told && failed.record.verdict == STORE_TO_BE_TOLD, "a failure is ours");
}

static const struct {
	const char *rule;
	enum outcome_kind kind;
	int64_t age_ms;
	enum store_verdict want;
	int64_t wait_ms;
} untried_cases[] = {
	{ "too old", OUTCOME_DEFERRED, 9 * DAY, STORE_RETRY_AT, 300000 },
	{ "young", OUTCOME_DEFERRED, DAY, STORE_RETRY_AT, 300000 },
	{ "refused all the same", OUTCOME_BOUNCED, 9 * DAY, STORE_TO_BE_TOLD, 0 },
	{ "delivered all the same", OUTCOME_DELIVERED, 9 * DAY, STORE_GONE, 0 },
};

TEST(a_shortage_of_ours_is_no_last_word)
{
	FOR_EACH(c, untried_cases) {
		struct store_message m = { .arrived_ms = 10 * DAY, .sender = STR("a@b") };
		struct store_rcpt r = { .notify = STR(""),
					.is_warned = true,
					.is_asked_for = true };
		struct outcome o = { .kind = c->kind, .reason = STR("why") };
		int64_t now = m.arrived_ms + c->age_ms;
		struct queue_verdict v = queue_verdict(&settings, &m, &r, &o, now);

		queue_verdict_keep(&v, &settings, &m, &r, now);
		ok(c->kind != OUTCOME_DEFERRED || !v.record.was_asked_for, "asked for still");
		ok(v.record.verdict == c->want && !v.is_expired, c->rule);
		ok(c->want != STORE_RETRY_AT || v.record.due_ms == now + c->wait_ms, c->rule);
	}
}

static const struct {
	const char *rule;
	enum outcome_kind kind;
	int code;
	struct status status;
	bool want;
} suspend_cases[] = {
	{ "a code", OUTCOME_DEFERRED, 421, { 4, 7, 0 }, true },
	{ "a code with its status", OUTCOME_DEFERRED, 450, { 4, 7, 1 }, true },
	{ "another status", OUTCOME_DEFERRED, 450, { 4, 2, 0 }, false },
	{ "another code", OUTCOME_DEFERRED, 451, { 4, 7, 1 }, false },
	{ "no reply", OUTCOME_DEFERRED, 0, { 4, 7, 1 }, false },
	{ "delivered", OUTCOME_DELIVERED, 421, { 4, 7, 0 }, false },
};

TEST(some_replies_ask_to_be_left_alone)
{
	FOR_EACH(c, suspend_cases) {
		struct outcome o = { .kind = c->kind,
				     .reply = { .code = c->code, .status = c->status } };
		ok(queue_is_suspension(&settings, &o) == c->want, c->rule);
	}
}

TEST(a_destination_is_in_trouble_when_no_host_took_part)
{
	struct deliver_try tries[2] = { { .kind = DELIVER_TRY_CONNECT },
					{ .kind = DELIVER_TRY_SESSION } };
	struct deliver_rcpt rcpt = { .outcome = { .kind = OUTCOME_DEFERRED } };
	struct deliver_result r = { .rcpts = &rcpt, .n_rcpts = 1, .tries = tries };

	ok(queue_feedback(&r) == SCHED_TROUBLE, "no host was found");
	r.n_tries = 2;
	tries[1].trouble.reason = STR("TLS is required");
	ok(queue_feedback(&r) == SCHED_TROUBLE, "none could be used");
	tries[0].is_shortage = true;
	ok(queue_feedback(&r) == SCHED_NEUTRAL && queue_is_short(&r), "we had no descriptor");
	tries[1].trouble.reason = STR("");
	ok(queue_feedback(&r) == SCHED_OK, "one deferred the recipient alone");
	rcpt.outcome.kind = OUTCOME_BOUNCED;
	r.n_tries = 0;
	ok(queue_feedback(&r) == SCHED_OK, "a last word is one, too");
}

static const struct {
	const char *rule;
	struct str transports, destination;
	bool want;
} deferred_cases[] = {
	{ "named", STR_INIT("lmtp, smtp"), STR_INIT("smtp:a.example"), true },
	{ "not named", STR_INIT("lmtp"), STR_INIT("smtp:a.example"), false },
	{ "no part of a name", STR_INIT("smtps smt"), STR_INIT("smtp:a.example"), false },
	{ "mail that is not routed has none", STR_INIT("smtp"), STR_INIT(""), false },
};

TEST(transports_wait_for_an_operator)
{
	FOR_EACH(c, deferred_cases) {
		struct queue_settings s = { .deferred = c->transports };
		ok(queue_is_deferred(&s, c->destination) == c->want, c->rule);
	}
}

static const struct {
	const char *rule;
	struct str destination, address, want;
} who_cases[] = {
	{ "its local part", STR_INIT("lmtp:a"), STR_INIT("anna@one.example"), STR_INIT("anna") },
	{ "in any case", STR_INIT("lmtp:a"), STR_INIT("ANNA@two.example"), STR_INIT("anna") },
	{ "an extension is no other", STR_INIT("lmtp:a"), STR_INIT("anna+x@a"), STR_INIT("anna") },
	{ "it has no domain", STR_INIT("lmtp:a"), STR_INIT("anna"), STR_INIT("anna") },
	{ "many in one attempt", STR_INIT("smtp:a"), STR_INIT("anna@one.example"), STR_INIT("") },
	{ "not routed", STR_INIT(""), STR_INIT("anna@one.example"), STR_INIT("") },
};

TEST(a_recipient_may_be_counted_by_itself)
{
	const struct queue_settings s = { .recipient_delimiter = STR("+"),
					  .lmtp.rcpts_max = 1,
					  .other.rcpts_max = 1 };
	struct arena *a = arena_new();

	FOR_EACH(c, who_cases)
		ok_str(queue_who(a, &s, c->destination, c->address), c->want, c->rule);
	arena_free(a);
}

TEST(a_destination_has_two_parts)
{
	struct str t, n;

	queue_destination_cut(STR("smtp:[mail.example.com]:587"), &t, &n);
	ok_str(t, STR("smtp"), "transport");
	ok_str(n, STR("[mail.example.com]:587"), "next-hop");
	queue_destination_cut(STR(""), &t, &n);
	ok_str(t, STR(""), "not routed");
	ok_str(n, STR(""), "not routed");
}

TEST_MAIN(RUN(an_outcome_becomes_a_verdict), RUN(who_hands_a_request_on_tells_no_success),
	  RUN(a_shortage_of_ours_is_no_last_word), RUN(some_replies_ask_to_be_left_alone),
	  RUN(a_destination_is_in_trouble_when_no_host_took_part),
	  RUN(transports_wait_for_an_operator), RUN(a_recipient_may_be_counted_by_itself),
	  RUN(a_destination_has_two_parts))
