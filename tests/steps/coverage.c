/* SPDX-License-Identifier: MIT */
/* Which steps of the whole library no test has killed or stopped a process at:
 * coverage FILE, the file being what step_record() has written. Linked with all of the
 * library. */
#include "support/steps.h"

static bool is_recorded(FILE *file, const char *name)
{
    char line[128];
    rewind(file);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, name) == 0)
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    FILE *file = fopen(argv[1], "re");
    if (file == NULL) {
        perror(argv[1]);
        return 2;
    }
    step_list l = steps_of("");
    int missing = 0;
    for (int i = 0; i < l.count; i++)
        if (!is_recorded(file, l.name[i])) {
            printf("steps: no test came to %s\n", l.name[i]);
            missing++;
        }
    fclose(file);
    printf("steps: %d of %d reached\n", l.count - missing, l.count);
    return missing > 0 || l.count == 0;
}
