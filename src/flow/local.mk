noinst_LIBRARIES += libflow.a
libflow_a_SOURCES = \
	src/flow/table.c \
	src/flow/table.h
