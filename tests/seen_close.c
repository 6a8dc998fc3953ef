/* Linked into programs with ThreadSanitizer. libuv closes descriptors by syscall(2), which the tool
 * does not see: it would take the number's next owner for a thread that uses the last one's
 * descriptor. */

#include <dlfcn.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef long system_call(long number, ...);

__attribute__((visibility("default"))) long syscall(long number, ...)
{
	static _Atomic(system_call *) real;
	long v[6];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		v[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_close)
		return close((int)v[0]);
	if (!real)
		real = (system_call *)dlsym(RTLD_NEXT, "syscall");
	return real(number, v[0], v[1], v[2], v[3], v[4], v[5]);
}
