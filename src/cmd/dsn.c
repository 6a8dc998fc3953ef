#include "cmd/dsn.h"

bool dsn_is_notify(struct str value)
{
	static const struct str words[] = { STR_INIT("success"), STR_INIT("failure"),
					    STR_INIT("delay") };
	struct str word, rest = value;
	size_t n = 0;

	if (str_ieq_ascii(value, STR("never")))
		return true;
	while (str_token(&rest, STR(","), &word)) {
		bool is_known = false;
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			is_known |= str_ieq_ascii(word, words[i]);
		if (!is_known)
			return false;
		n++;
	}
	return n > 0;
}

bool dsn_is_ret(struct str value)
{
	return str_ieq_ascii(value, STR("full")) || str_ieq_ascii(value, STR("hdrs"));
}

bool dsn_is_envid(struct str value)
{
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] < '!' || value.p[i] > '~' || value.p[i] == '+' || value.p[i] == '=')
			return false;
	return value.n > 0 && value.n <= 100;
}
