#include "log/counters.h"

static const struct {
	struct str name, prose;
} counters[] = {
#define COUNTER(name, prose) { STR_INIT(#name), STR_INIT(prose) },
#include "log/counters.def"
#undef COUNTER
};

struct str counter_name(enum log_counter id)
{
	return counters[id].name;
}

struct str counter_prose(enum log_counter id)
{
	return counters[id].prose;
}
