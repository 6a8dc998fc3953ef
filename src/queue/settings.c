#include "queue/inside.h"

#include "conf/value.h"

static int64_t time_ms(const struct conf *conf, enum conf_id id)
{
	return (int64_t)conf_time_s(conf, id) * 1000;
}

static bool has_word(struct str list, struct str want)
{
	struct str word;

	while (str_token(&list, STR(", \t\r\n"), &word))
		if (str_ieq_ascii(word, want))
			return true;
	return false;
}

/* An address, with the domain of this machine's mail when it has none. */
static struct str full_address(struct arena *a, struct str text, struct str origin)
{
	if (text.n == 0 || str_contains(text, '@'))
		return text;
	return arena_fmt(a, STR_FMT "@" STR_FMT, STR_ARG(text), STR_ARG(origin));
}

static void tell_postmasters(struct arena *a, struct queue_settings *s, const struct conf *conf,
			     struct str origin)
{
	struct str classes = conf_str(conf, CONF_notify_classes);
	bool tells_bounces = has_word(classes, STR("bounce"));

	s->tells_double_bounces = tells_bounces || has_word(classes, STR("2bounce"));
	s->postmaster = full_address(a, conf_str(conf, CONF_2bounce_notice_recipient), origin);
	s->copies_to[DSN_FAILURE] = s->copies_to[DSN_DELAY] = STR("");
	if (tells_bounces)
		s->copies_to[DSN_FAILURE] =
			full_address(a, conf_str(conf, CONF_bounce_notice_recipient), origin);
	if (has_word(classes, STR("delay")))
		s->copies_to[DSN_DELAY] =
			full_address(a, conf_str(conf, CONF_delay_notice_recipient), origin);
}

static bool read_limits(struct queue_settings *s, const struct conf *conf, struct error *e)
{
	return sched_limits_read(conf, STR("smtp"), &s->smtp, e) &&
	       sched_limits_read(conf, STR("lmtp"), &s->lmtp, e) &&
	       sched_limits_read(conf, STR("relay"), &s->relay, e) &&
	       sched_limits_read(conf, STR(""), &s->other, e);
}

const struct queue_settings *
queue_settings_new(struct arena *a, const struct conf *conf, struct error *e)
{
	struct queue_settings *s = ARENA_NEW(a, struct queue_settings);
	struct str origin = conf_str(conf, CONF_myorigin);

	if (str_has_prefix(origin, STR("/")))
		origin = conf_str(conf, CONF_myhostname);
	s->backoff_least_ms = time_ms(conf, CONF_minimal_backoff_time);
	s->backoff_most_ms = time_ms(conf, CONF_maximal_backoff_time);
	if (s->backoff_most_ms < s->backoff_least_ms) /* the least counts, as in Postfix */
		s->backoff_most_ms = s->backoff_least_ms;
	s->lifetime_ms = time_ms(conf, CONF_maximal_queue_lifetime);
	s->bounce_lifetime_ms = time_ms(conf, CONF_bounce_queue_lifetime);
	s->warning_ms = time_ms(conf, CONF_delay_warning_time);
	s->evidence_ms = time_ms(conf, CONF_hopseal_evidence_lifetime);
	s->suspend_ms = time_ms(conf, CONF_hopseal_suspend_time);
	s->suspend_replies = conf_str(conf, CONF_hopseal_suspend_replies);
	s->bounce_size_limit = (uint64_t)conf_int(conf, CONF_bounce_size_limit);
	s->is_soft_bounce = conf_bool(conf, CONF_soft_bounce);
	tell_postmasters(a, s, conf, origin);
	s->is_lmtp_final = conf_bool(conf, CONF_lmtp_assume_final);
	s->redacts_requiretls = conf_bool(conf, CONF_requiretls_redact_dsn);
	s->hostname = conf_str(conf, CONF_myhostname);
	s->origin = origin;
	s->daemon = full_address(a, STR("MAILER-DAEMON"), origin);
	s->double_bounce = full_address(a, conf_str(conf, CONF_double_bounce_sender), origin);
	s->deferred = conf_str(conf, CONF_defer_transports);
	s->recipient_delimiter = conf_str(conf, CONF_recipient_delimiter);
	s->sched = (struct sched_options){
		.attempts_max = (unsigned)conf_int(conf, CONF_hopseal_delivery_limit),
		.rcpts_waiting = QUEUE_RCPTS_WAITING,
		.dead_ms = (uint64_t)s->backoff_least_ms,
		.dead_ms_max = (uint64_t)s->backoff_most_ms,
	};
	return read_limits(s, conf, e) ? s : NULL;
}
