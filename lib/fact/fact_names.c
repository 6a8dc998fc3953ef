/* The words for the enums of fact.h, both ways. */

#include "fact/fact.h"

struct str answer_status_name(enum answer_status s)
{
	switch (s) {
	case ANSWER_FOUND:
		return STR("found");
	case ANSWER_NONE:
		return STR("none");
	case ANSWER_FAILED:
		return STR("failed");
	}
	CHECK(!"answer status");
	return STR_NONE;
}

struct str dnssec_status_name(enum dnssec_status s)
{
	switch (s) {
	case DNSSEC_UNCHECKED:
		return STR("unchecked");
	case DNSSEC_INSECURE:
		return STR("insecure");
	case DNSSEC_SECURE:
		return STR("secure");
	case DNSSEC_BOGUS:
		return STR("bogus");
	}
	CHECK(!"DNSSEC status");
	return STR_NONE;
}

struct str question_kind_name(enum question_kind k)
{
	switch (k) {
	case QUESTION_TABLE:
		return STR("table");
	case QUESTION_MX:
		return STR("mx");
	case QUESTION_ADDRESS:
		return STR("address");
	case QUESTION_NATIVE:
		return STR("native");
	case QUESTION_TRUST_ANCHORS:
		return STR("trust-anchors");
	case QUESTION_POINTER:
		return STR("pointer");
	}
	CHECK(!"question kind");
	return STR_NONE;
}

bool answer_status_from(struct str name, enum answer_status *out)
{
	for (enum answer_status s = ANSWER_FOUND; s <= ANSWER_FAILED; s++) {
		if (str_eq(name, answer_status_name(s))) {
			*out = s;
			return true;
		}
	}
	return false;
}

bool dnssec_status_from(struct str name, enum dnssec_status *out)
{
	for (enum dnssec_status s = DNSSEC_UNCHECKED; s <= DNSSEC_BOGUS; s++) {
		if (str_eq(name, dnssec_status_name(s))) {
			*out = s;
			return true;
		}
	}
	return false;
}

bool question_kind_from(struct str name, enum question_kind *out)
{
	for (enum question_kind k = QUESTION_TABLE; k <= QUESTION_TRUST_ANCHORS; k++) {
		if (str_eq(name, question_kind_name(k))) {
			*out = k;
			return true;
		}
	}
	return false;
}
