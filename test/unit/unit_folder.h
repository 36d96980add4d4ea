/*
 * A folder for the files of a test program: made before main(), removed with all that is in it when
 * the program ends, also when a test failed. Tests that Check runs in processes of their own make
 * folders of their own inside.
 */
#ifndef UNIT_FOLDER_H
#define UNIT_FOLDER_H

#include <stddef.h>

/* A new empty folder; its path into out. size >= 64. */
void unit_folder_new(char *out, size_t size);

#endif
