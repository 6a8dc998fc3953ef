/* What a transport allows its destinations. */

#ifndef HOPSEAL_SCHED_LIMITS_H
#define HOPSEAL_SCHED_LIMITS_H

#include "base/error.h"
#include "conf/conf.h"

/* How much one attempt counts, in millionths of a place in the window. */
#define SCHED_ONE 1000000u

enum sched_divisor { SCHED_FIXED, SCHED_BY_WINDOW, SCHED_BY_ROOT };

struct sched_gain {
	uint32_t amount; /* 0 to SCHED_ONE */
	enum sched_divisor by;
};

/* Those with parameters of their own, and any other. */
enum sched_transport {
	SCHED_OF_SMTP,
	SCHED_OF_LMTP,
	SCHED_OF_RELAY,
	SCHED_OF_OTHER,
	SCHED_TRANSPORTS
};

struct sched_limits {
	enum sched_transport transport;
	unsigned window_first; /* T_initial_destination_concurrency, at least 1 */
	unsigned window_max;   /* T_destination_concurrency_limit; 0: none */
	unsigned rcpts_max;    /* T_destination_recipient_limit, of one attempt; 0: none */
	unsigned cohorts_max;  /* T_destination_concurrency_failed_cohort_limit; 0: never dead */
	struct sched_gain positive, negative; /* T_destination_concurrency_*_feedback */
	uint64_t
		rate_delay_ms; /* T_destination_rate_delay: one attempt at a time, that far apart */
	uint64_t transport_delay_ms; /* T_transport_rate_delay, between any two attempts */
};

/* "1", "0.5", "1/3", "1 / concurrency", "1/sqrt_concurrency": 0 to 1 for a window of one. */
MUST_USE bool sched_gain_parse(struct str text, struct sched_gain *out);
/* For a window of `window` > 0. */
uint32_t sched_gain_of(struct sched_gain g, unsigned window);

/* Of a transport: "smtp", "lmtp", "relay"; any other has the default_ parameters. */
MUST_USE bool sched_limits_read(const struct conf *conf, struct str transport,
				struct sched_limits *out, struct error *e);

#endif
