/* SPDX-License-Identifier: MIT */
/* host PLUGIN: loads a plugin, uses it and lets it go; three times. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    for (int i = 1; argc == 2 && i <= 3; i++) {
        void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        void *symbol = plugin != NULL ? dlsym(plugin, "plugin_sum_of_squares") : NULL;
        if (symbol == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        int (*sum_of_squares)(int);
        *(void **)&sum_of_squares = symbol;
        printf("%s%d", i > 1 ? " " : "plugin ", sum_of_squares(i * 10));
        if (dlclose(plugin) != 0)
            return 1;
    }
    putchar('\n');
    return 0;
}
