#include "os/service.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/test.h"

TEST(a_manager_hears_the_state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/hopseal-service-XXXXXX", got[64];
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	ok(mkdtemp(dir) != NULL, "a folder");
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/notify", dir);
	ok(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0, "its socket");
	setenv("NOTIFY_SOCKET", at.sun_path, 1);
	os_service_tell(STR("READY=1"));
	ssize_t n = recv(fd, got, sizeof(got), 0);
	ok_str(str_span(got, n > 0 ? (size_t)n : 0), STR("READY=1"), "as it was told");
	unsetenv("NOTIFY_SOCKET");
	os_service_tell(STR("READY=1"));
	ok(recv(fd, got, sizeof(got), MSG_DONTWAIT) < 0, "nobody to tell");
	close(fd);
	unlink(at.sun_path);
	rmdir(dir);
}

static const struct {
	const char *rule, *us, *pid;
	uint64_t want;
} cases[] = {
	{ "no watchdog", NULL, NULL, 0 },
	{ "microseconds", "30000000", NULL, 30000 },
	{ "of another process", "30000000", "1", 0 },
	{ "no number", "soon", NULL, 0 },
};

static void set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

TEST(a_watchdog_has_its_time)
{
	FOR_EACH(c, cases) {
		set("WATCHDOG_USEC", c->us);
		set("WATCHDOG_PID", c->pid);
		ok(os_service_watchdog_ms() == c->want, c->rule);
	}
}

TEST_MAIN(RUN(a_manager_hears_the_state), RUN(a_watchdog_has_its_time))
