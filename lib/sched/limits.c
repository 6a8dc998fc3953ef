#include "sched/limits.h"

/* A decimal number in millionths: "1", "0.25", ".5"; what is beyond the sixth digit is cut. */
static bool gain_number(struct str text, uint64_t *out)
{
	struct str whole = text, part = STR("");
	uint64_t v = 0, unit = SCHED_ONE;

	if (str_cut(text, '.', &whole, &part) && whole.n == 0 && part.n == 0)
		return false;
	if (whole.n > 6 || (whole.n > 0 && !str_to_u64(whole, &v)))
		return false;
	if (whole.n == 0 && part.n == 0)
		return false;
	v *= SCHED_ONE;
	for (size_t i = 0; i < part.n; i++) {
		if (!ascii_is_digit(part.p[i]))
			return false;
		unit /= 10;
		v += (uint64_t)(part.p[i] - '0') * unit;
	}
	*out = v;
	return true;
}

bool sched_gain_parse(struct str text, struct sched_gain *out)
{
	struct str over = str_trim(text), under;
	enum sched_divisor by = SCHED_FIXED;
	uint64_t v, divisor = SCHED_ONE;

	if (str_cut(over, '/', &over, &under)) {
		over = str_trim(over);
		under = str_trim(under);
		if (str_ieq_ascii(under, STR("concurrency")))
			by = SCHED_BY_WINDOW;
		else if (str_ieq_ascii(under, STR("sqrt_concurrency")))
			by = SCHED_BY_ROOT;
		else if (!gain_number(under, &divisor) || divisor == 0)
			return false;
	}
	if (!gain_number(over, &v))
		return false;
	v = v * SCHED_ONE / divisor;
	if (v > SCHED_ONE)
		return false;
	*out = (struct sched_gain){ (uint32_t)v, by };
	return true;
}

static uint64_t root_of(uint64_t v)
{
	uint64_t low = 0, high = 1ull << 32;

	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;
		if (middle * middle <= v)
			low = middle;
		else
			high = middle;
	}
	return low;
}

uint32_t sched_gain_of(struct sched_gain g, unsigned window)
{
	switch (g.by) {
	case SCHED_FIXED:
		return g.amount;
	case SCHED_BY_WINDOW:
		return g.amount / window;
	case SCHED_BY_ROOT:
		return (uint32_t)((uint64_t)g.amount * 1000 / root_of(window * 1000000ull));
	}
	return 0;
}

/* One column of parameters for each transport with its own. */
struct limits_params {
	struct str transport;
	enum conf_id window_first, window_max, rcpts_max, cohorts_max, positive, negative, rate,
		transport_rate;
};

/* By sched_transport. */
static const struct limits_params limits_params[SCHED_TRANSPORTS] = {
	{
		STR_INIT("smtp"),
		CONF_smtp_initial_destination_concurrency,
		CONF_smtp_destination_concurrency_limit,
		CONF_smtp_destination_recipient_limit,
		CONF_smtp_destination_concurrency_failed_cohort_limit,
		CONF_smtp_destination_concurrency_positive_feedback,
		CONF_smtp_destination_concurrency_negative_feedback,
		CONF_smtp_destination_rate_delay,
		CONF_smtp_transport_rate_delay,
	},
	{
		STR_INIT("lmtp"),
		CONF_lmtp_initial_destination_concurrency,
		CONF_lmtp_destination_concurrency_limit,
		CONF_lmtp_destination_recipient_limit,
		CONF_lmtp_destination_concurrency_failed_cohort_limit,
		CONF_lmtp_destination_concurrency_positive_feedback,
		CONF_lmtp_destination_concurrency_negative_feedback,
		CONF_lmtp_destination_rate_delay,
		CONF_lmtp_transport_rate_delay,
	},
	{
		STR_INIT("relay"),
		CONF_relay_initial_destination_concurrency,
		CONF_relay_destination_concurrency_limit,
		CONF_relay_destination_recipient_limit,
		CONF_relay_destination_concurrency_failed_cohort_limit,
		CONF_relay_destination_concurrency_positive_feedback,
		CONF_relay_destination_concurrency_negative_feedback,
		CONF_relay_destination_rate_delay,
		CONF_relay_transport_rate_delay,
	},
	{
		STR_INIT(""),
		CONF_initial_destination_concurrency,
		CONF_default_destination_concurrency_limit,
		CONF_default_destination_recipient_limit,
		CONF_default_destination_concurrency_failed_cohort_limit,
		CONF_default_destination_concurrency_positive_feedback,
		CONF_default_destination_concurrency_negative_feedback,
		CONF_default_destination_rate_delay,
		CONF_default_transport_rate_delay,
	},
};

static const struct limits_params *limits_params_of(struct str transport)
{
	size_t i = 0;

	while (limits_params[i].transport.n > 0 && !str_eq(limits_params[i].transport, transport))
		i++;
	return &limits_params[i];
}

static bool
gain_read(const struct conf *conf, enum conf_id id, struct sched_gain *out, struct error *e)
{
	if (sched_gain_parse(conf_str(conf, id), out))
		return true;
	return error_set(e, ERROR_CONFIG,
			 STR_FMT ":%u: " STR_FMT " = " STR_FMT
				 ": not a number from 0 to 1, nor one divided by concurrency or "
				 "sqrt_concurrency",
			 STR_ARG(conf_file(conf, id)), conf_line(conf, id), STR_ARG(conf_name(id)),
			 STR_ARG(conf_str(conf, id)));
}

bool sched_limits_read(const struct conf *conf, struct str transport, struct sched_limits *out,
		       struct error *e)
{
	const struct limits_params *p = limits_params_of(transport);

	*out = (struct sched_limits){
		.transport = (enum sched_transport)(p - limits_params),
		.window_first = (unsigned)conf_int(conf, p->window_first),
		.window_max = (unsigned)conf_int(conf, p->window_max),
		.rcpts_max = (unsigned)conf_int(conf, p->rcpts_max),
		.cohorts_max = (unsigned)conf_int(conf, p->cohorts_max),
		.rate_delay_ms = conf_time_s(conf, p->rate) * 1000,
		.transport_delay_ms = conf_time_s(conf, p->transport_rate) * 1000,
	};
	return gain_read(conf, p->positive, &out->positive, e) &&
	       gain_read(conf, p->negative, &out->negative, e);
}
