#include "conf/value.h"

bool conf_value_bool(struct str s, int64_t *out)
{
	bool is_yes = str_ieq_ascii(s, STR("yes"));

	if (!is_yes && !str_ieq_ascii(s, STR("no")))
		return false;
	*out = is_yes;
	return true;
}

bool conf_value_int(struct str s, int64_t *out)
{
	bool is_negative = s.n && s.p[0] == '-';
	uint64_t v;

	if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
		s = str_from(s, 1);
	if (!str_to_u64(s, &v) || v > (uint64_t)INT32_MAX + is_negative)
		return false;
	*out = is_negative ? -(int64_t)v : (int64_t)v;
	return true;
}

static int64_t unit_seconds(char unit)
{
	switch (unit) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 60 * 60;
	case 'd':
		return 24 * 60 * 60;
	case 'w':
		return 7 * 24 * 60 * 60;
	default:
		return 0;
	}
}

bool conf_value_time(struct str s, char unit, int64_t *out)
{
	uint64_t v;

	if (s.n && ascii_is_alpha(s.p[s.n - 1])) {
		unit = s.p[s.n - 1];
		s.n--;
	}
	if (!str_to_u64(s, &v) || v > INT32_MAX || unit_seconds(unit) == 0)
		return false;
	int64_t seconds = (int64_t)v * unit_seconds(unit);
	if (seconds > INT32_MAX)
		return false;
	*out = seconds;
	return true;
}

bool conf_value_level(struct str s, struct conf_level *out)
{
	struct conf_level level = { 0 };
	struct str part, rest = s;

	for (size_t i = 0; i < ARRAY_LEN(level.part); i++) {
		uint64_t v, most = i == 0 ? UINT16_MAX : 1023;
		bool is_last = !str_cut(rest, '.', &part, &rest);
		if (!str_to_u64(is_last ? rest : part, &v) || v > most)
			return false;
		level.part[i] = (unsigned)v;
		if (is_last) {
			*out = level;
			return true;
		}
	}
	return false;
}

int conf_level_cmp(struct conf_level a, struct conf_level b)
{
	for (size_t i = 0; i < ARRAY_LEN(a.part); i++) {
		if (a.part[i] != b.part[i])
			return a.part[i] < b.part[i] ? -1 : 1;
	}
	return 0;
}
