#include "conf/table.h"

#define PARAM(name, type, preset, low, high, state, effect, prose)                                 \
	{ STR_INIT(#name),    STR_INIT(preset),    low, high, CONF_TYPE_##type,                    \
	  CONF_STATE_##state, CONF_EFFECT_##effect },
const struct conf_param conf_params[CONF_COUNT] = {
#include "conf/params.def"
};
#undef PARAM

#define KNOWN(name, effect, preset) { STR_INIT(#name), STR_INIT(preset), CONF_EFFECT_##effect },
const struct conf_known conf_known_names[] = {
#include "conf/known.def"
};
#undef KNOWN

const size_t conf_known_count = ARRAY_LEN(conf_known_names);

/* 0 is a parameter of no client: it stands for none. */
#define PAIR(smtp, lmtp) [CONF_##smtp] = CONF_##lmtp,
static const enum conf_id lmtp_ids[CONF_COUNT] = {
#include "conf/lmtp.def"
};
#undef PAIR

enum conf_id conf_lmtp_id(enum conf_id id)
{
	CHECK((size_t)id < CONF_COUNT);
	return lmtp_ids[id] ? lmtp_ids[id] : id;
}

static const struct str service_suffixes[] = {
	STR_INIT("_delivery_slot_cost"),
	STR_INIT("_delivery_slot_discount"),
	STR_INIT("_delivery_slot_loan"),
	STR_INIT("_destination_concurrency_failed_cohort_limit"),
	STR_INIT("_destination_concurrency_limit"),
	STR_INIT("_destination_concurrency_negative_feedback"),
	STR_INIT("_destination_concurrency_positive_feedback"),
	STR_INIT("_destination_rate_delay"),
	STR_INIT("_destination_recipient_limit"),
	STR_INIT("_extra_recipient_limit"),
	STR_INIT("_initial_destination_concurrency"),
	STR_INIT("_minimum_delivery_slots"),
	STR_INIT("_recipient_limit"),
	STR_INIT("_recipient_refill_delay"),
	STR_INIT("_recipient_refill_limit"),
	STR_INIT("_time_limit"),
	STR_INIT("_transport_rate_delay"),
};

bool conf_is_service_name(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(service_suffixes); i++) {
		if (name.n > service_suffixes[i].n && str_has_suffix(name, service_suffixes[i]))
			return true;
	}
	return false;
}

char conf_time_unit(enum conf_id id)
{
	struct str preset = conf_params[id].preset;

	return preset.n && ascii_is_alpha(preset.p[preset.n - 1]) ? preset.p[preset.n - 1] : 's';
}

struct str conf_name(enum conf_id id)
{
	CHECK((size_t)id < CONF_COUNT);
	return conf_params[id].name;
}
